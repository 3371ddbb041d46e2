//! [`write()`]: the contact sheet, a picture of clips as the network sees them.
//!
//! Each row is a training clip of the first epoch. Above it are its class, the class and share of the clip that it is blended with,
//! and its video.

use crate::error::AugmentError;
use crate::list::name;
use pipe_clips::{ClipSize, Loader};
use pipe_pictures::{evenly, sheet_of_clips};
use pipe_schemas::tables::{ClassRow, SampleRow};
use pipe_stage::StageError;
use std::collections::BTreeMap;
use std::path::Path;

/// Maximum number of clips per class.
const CLIPS_PER_CLASS: usize = 3;

/// Maximum number of clips. If there are more classes, only evenly spaced ones are shown.
const MAX_CLIPS: usize = 120;

/// Maximum number of frames per clip.
const MAX_FRAMES: usize = 8;

/// Writes the picture of a selection of `rows`, the rows of an epoch in order.
pub(crate) fn write(
    path: &Path,
    frames_dir: &Path,
    rows: &[SampleRow],
    classes: &[ClassRow],
    size: ClipSize,
    threads: usize,
) -> Result<(), StageError> {
    let chosen: Vec<_> = choose(rows).into_iter().map(|row| (row, label(row, rows, classes))).collect();
    let sheet = sheet_of_clips(&Loader::open(frames_dir)?, rows, &chosen, size, MAX_FRAMES, threads)?;
    let written = sheet.to_png().and_then(|png| fs_err::write(path, png));
    Ok(written.map_err(|source| AugmentError::Picture { path: path.into(), source })?)
}

/// Returns the text above a clip.
fn label(row: &SampleRow, rows: &[SampleRow], classes: &[ClassRow]) -> String {
    let class = |row: &SampleRow| {
        let name = |index: u32| classes.get(index as usize).map_or("", |class| class.class_name.as_str());
        row.class_indices().map(|index| format!("{index} {}", name(index))).collect::<Vec<_>>().join(", ")
    };
    let other = row.mix_position.and_then(|position| rows.get(position as usize));
    let blended = other.map(|other| format!(" + {:.0} % of {}", 100.0 * row.mix_share, class(other)));
    let video = name(&row.video_id, row.start_secs.zip(row.end_secs));
    format!("{}{} - {video}", class(row), blended.unwrap_or_default())
}

/// Returns a few rows of each class, class by class.
fn choose(rows: &[SampleRow]) -> Vec<&SampleRow> {
    let mut classes: BTreeMap<u32, Vec<&SampleRow>> = BTreeMap::new();
    for row in rows {
        classes.entry(row.class_index).or_default().push(row);
    }
    let clips_per_class = (MAX_CLIPS / classes.len().max(1)).clamp(1, CLIPS_PER_CLASS);
    let classes: Vec<Vec<&SampleRow>> = classes.into_values().collect();
    let kept = evenly(classes.len(), MAX_CLIPS);
    kept.into_iter().flat_map(|class| classes[class].iter().take(clips_per_class).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(position: u32, class_index: u32) -> SampleRow {
        SampleRow { position, class_index, ..SampleRow::default() }
    }

    #[track_caller]
    fn check_chosen(num_classes: u32, expect: usize) {
        let rows: Vec<_> = (0..num_classes * 5).map(|at| row(at, at % num_classes)).collect();
        let chosen = choose(&rows);
        assert_eq!(chosen.len(), expect);
        assert!(chosen.is_sorted_by_key(|row| (row.class_index, row.position)));
    }

    #[test]
    fn a_few_clips_of_each_class_are_chosen() {
        check_chosen(1, 3);
        check_chosen(40, 120);
        check_chosen(51, 102);
        check_chosen(101, 101);
        check_chosen(400, 120);
    }
}
