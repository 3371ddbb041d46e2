//! What videos are divided by: columns of the frames, of the table of videos, and of the labels.

use super::Column;
use pipe_schemas::tables::{AnnotationRow, FrameIndexRow, PredictionRow, Split, VideoRow};
use std::collections::{BTreeMap, BTreeSet};

/// Lower ends of classes of duration, in seconds, with their names.
const DURATIONS: &[(f64, &str)] = &[
    (0.0, "below 2 s"),
    (2.0, "2 to 5 s"),
    (5.0, "5 to 10 s"),
    (10.0, "10 to 30 s"),
    (30.0, "30 s to 1 min"),
    (60.0, "1 to 5 min"),
    (300.0, "5 min or more"),
];

/// Lower ends of classes of length, in stored frames, with their names.
const LENGTHS: &[(f64, &str)] = &[
    (0.0, "below 16 frames"),
    (16.0, "16 to 31 frames"),
    (32.0, "32 to 63 frames"),
    (64.0, "64 to 127 frames"),
    (128.0, "128 to 255 frames"),
    (256.0, "256 to 511 frames"),
    (512.0, "512 frames or more"),
];

/// Lower ends of classes of the short side, in pixels, with their names.
const RESOLUTIONS: &[(f64, &str)] = &[
    (0.0, "below 120 px"),
    (120.0, "120 to 239 px"),
    (240.0, "240 to 359 px"),
    (360.0, "360 to 479 px"),
    (480.0, "480 to 719 px"),
    (720.0, "720 to 1079 px"),
    (1080.0, "1080 px or more"),
];

/// Returns the class of a value; `None` for a value that is not a number of at least 0.
fn class_of(value: f64, classes: &[(f64, &str)]) -> Option<(u32, String)> {
    let (place, (_, name)) = (0..).zip(classes).take_while(|(_, (low, _))| value >= *low).last()?;
    Some((place, (*name).to_owned()))
}

/// Returns the value of a video from its stored frames.
type OfFrames<'a> = &'a dyn Fn(&PredictionRow, &FrameIndexRow) -> Option<(u32, String)>;

/// Returns columns of the stored frames: `duration` (that of the segment, if there is one), `length` of the video in stored frames, and
/// `stored_resolution`, the short side of a stored frame.
pub fn columns_of_frames(predictions: &[PredictionRow], index: &[FrameIndexRow]) -> Vec<Column> {
    let known: BTreeMap<&str, &FrameIndexRow> = index.iter().map(|row| (row.video_id.as_str(), row)).collect();
    let column = |name: &str, value: OfFrames<'_>| {
        let of_row = |row: &PredictionRow| value(row, known.get(row.video_id.as_str())?);
        Column { name: String::from(name), values: predictions.iter().map(of_row).collect() }
    };
    let duration = |row: &PredictionRow, frames: &FrameIndexRow| {
        let of_video = (frames.fps > 0.0).then(|| f64::from(frames.num_frames) / frames.fps);
        let secs = row.start_secs.zip(row.end_secs).map(|(start, end)| end - start).or(of_video)?;
        class_of(secs, DURATIONS)
    };
    vec![
        column("duration", &duration),
        column("length", &|_, frames| class_of(f64::from(frames.num_frames), LENGTHS)),
        column("stored_resolution", &|_, frames| {
            class_of(f64::from(frames.width_px.min(frames.height_px)), RESOLUTIONS)
        }),
    ]
}

/// Returns columns of the table of videos: `resolution`, the short side of a coded frame; `fps`, `codec` and `verdict`; and `folder`, the
/// first folder of the path.
pub fn columns_of_videos(predictions: &[PredictionRow], videos: &[VideoRow]) -> Vec<Column> {
    let known: BTreeMap<&str, &VideoRow> = videos.iter().map(|row| (row.video_id.as_str(), row)).collect();
    let column = |name: &str, value: &dyn Fn(&VideoRow) -> Option<(u32, String)>| {
        let of_row = |row: &PredictionRow| value(known.get(row.video_id.as_str())?);
        Column { name: String::from(name), values: predictions.iter().map(of_row).collect() }
    };
    let fps = |row: &VideoRow| {
        let fps = (row.fps_den > 0).then(|| f64::from(row.fps_num) / f64::from(row.fps_den))?.round() as u32;
        (fps > 0).then(|| (fps, format!("{fps} fps")))
    };
    let folder = |row: &VideoRow| match row.path.split_once('/') {
        Some((folder, _)) => Some((1, folder.to_owned())),
        None => Some((0, ".".to_owned())),
    };
    let verdict = |row: &VideoRow| {
        let text = serde_json::to_value(row.verdict).ok()?;
        Some((row.verdict as u32, text.as_str()?.to_owned()))
    };
    vec![
        column("resolution", &|row| class_of(f64::from(row.width_px.min(row.height_px)), RESOLUTIONS)),
        column("fps", &fps),
        column("codec", &|row| (!row.codec.is_empty()).then(|| (0, row.codec.clone()))),
        column("folder", &folder),
        column("verdict", &verdict),
    ]
}

/// Returns the column `list`: the file of the test list that has the video; several, if it is in several.
pub fn columns_of_labels(predictions: &[PredictionRow], labels: &[AnnotationRow]) -> Vec<Column> {
    let mut files: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in labels.iter().filter(|row| row.split == Split::Test) {
        files.entry(&row.video_id).or_default().insert(&row.source_file);
    }
    let value = |row: &PredictionRow| {
        let files = files.get(row.video_id.as_str())?;
        Some((0, files.iter().copied().collect::<Vec<_>>().join(", ")))
    };
    vec![Column { name: "list".to_owned(), values: predictions.iter().map(value).collect() }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tests::row;

    #[test]
    fn values_at_the_lower_end_belong_to_a_class() {
        let check = |value: f64, expect: Option<&str>| {
            assert_eq!(class_of(value, DURATIONS).map(|(_, name)| name).as_deref(), expect, "{value}");
        };
        check(0.0, Some("below 2 s"));
        check(1.999, Some("below 2 s"));
        check(2.0, Some("2 to 5 s"));
        check(1e9, Some("5 min or more"));
        check(f64::NAN, None);
        check(-1.0, None);
    }

    #[test]
    fn frames_say_how_long_and_how_large_videos_are() {
        let index = [FrameIndexRow {
            video_id: "a".into(),
            shard: String::new(),
            row_group: 0,
            num_frames: 100,
            width_px: 320,
            height_px: 240,
            fps: 25.0,
        }];
        let mut segment = row("a", 0, &[1.0]);
        (segment.start_secs, segment.end_secs) = (Some(1.0), Some(2.5));
        let found = columns_of_frames(&[row("a", 0, &[1.0]), segment, row("b", 0, &[1.0])], &index);
        let texts = |at: usize| -> Vec<&str> {
            found[at].values.iter().map(|value| value.as_ref().map_or("-", |(_, text)| text)).collect()
        };
        assert_eq!(texts(0), ["2 to 5 s", "below 2 s", "-"]);
        assert_eq!(texts(1), ["64 to 127 frames", "64 to 127 frames", "-"]);
        assert_eq!(texts(2), ["240 to 359 px", "240 to 359 px", "-"]);
    }
}
