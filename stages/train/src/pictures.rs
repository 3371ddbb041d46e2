//! Pictures of training clips as the network sees them.

use crate::samples::Samples;
use pipe_clips::Loader;
use pipe_pictures::{Sheet, evenly, sheet_of_clips};
use pipe_schemas::tables::SampleRow;
use pipe_stage::StageError;

/// Maximum number of frames of each clip.
const MAX_FRAMES: usize = 8;

/// Number of clips in the picture of an epoch.
const MAX_CLIPS: usize = 8;

/// Draws `clips`, which are some of the `rows` of an epoch, with their classes and videos.
pub(crate) fn draw(
    samples: &Samples,
    loader: &Loader,
    rows: &[SampleRow],
    clips: &[&SampleRow],
    threads: usize,
) -> Result<Sheet, StageError> {
    let name = |class: u32| samples.classes.get(class as usize).map_or("?", String::as_str);
    let label = |row: &SampleRow| {
        let classes: Vec<&str> = row.class_indices().map(name).collect();
        format!("{} - {}", classes.join(", "), row.video_id)
    };
    let chosen: Vec<_> = clips.iter().map(|row| (*row, label(row))).collect();
    let size = samples.clip_size(samples.preprocessing.train_frames);
    Ok(sheet_of_clips(loader, rows, &chosen, size, MAX_FRAMES, threads)?)
}

/// Draws a few clips of the first epoch, as a PNG file.
pub(crate) fn first_epoch(samples: &Samples, loader: &Loader, threads: usize) -> Result<Vec<u8>, StageError> {
    let rows = samples.epoch(0)?;
    let clips: Vec<&SampleRow> = evenly(rows.len(), MAX_CLIPS).into_iter().map(|at| &rows[at]).collect();
    Ok(draw(samples, loader, &rows, &clips, threads)?.to_png()?)
}
