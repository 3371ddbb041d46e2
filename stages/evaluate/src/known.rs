//! [`known`]: what is known about the test videos before the network runs, so that a table that is not valid costs no evaluation.

use pipe_evaluation::{Known, SliceTable, columns_of_frames};
use pipe_schemas::tables::{FrameIndexRow, PredictionRow, SampleRow};
use pipe_stage::{Context, StageError};
use std::collections::BTreeMap;

/// Returns the groups of the videos of `views`, and what they are divided by: what frames, labels and videos say, and the user's table.
/// Values are in the order of the predictions.
pub(crate) fn known(context: &Context, views: &[SampleRow], index: &[FrameIndexRow]) -> Result<Known, StageError> {
    let videos = videos_of(views);
    let mut known = Known::read(context.optional_input("labels"), context.optional_input("videos"), &videos)?;
    known.columns.splice(0..0, columns_of_frames(&videos, index));
    if let Some(file) = context.source("slices")? {
        let table = SliceTable::read(&file.root, &videos, &known.columns)?;
        table.warning().into_iter().for_each(|text| context.warn(text));
        known.columns.extend(table.columns);
    }
    Ok(known)
}

/// Returns the rows that predictions will have, without results. As those of `average_views`, they are sorted by video and times.
fn videos_of(views: &[SampleRow]) -> Vec<PredictionRow> {
    let videos: BTreeMap<_, &SampleRow> = views.iter().map(|view| (view.sample(), view)).collect();
    let row = |view: &SampleRow| PredictionRow {
        video_id: view.video_id.clone(),
        start_secs: view.start_secs,
        end_secs: view.end_secs,
        ..PredictionRow::default()
    };
    videos.into_values().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_metrics::average_views;
    use pipe_schemas::networks::AverageClips;
    use pipe_schemas::tables::Labelling;

    #[test]
    fn videos_are_in_the_order_of_predictions() {
        let view = |(video_id, start): (&str, Option<f64>)| SampleRow {
            video_id: video_id.into(),
            start_secs: start,
            end_secs: start.map(|start| start + 1.0),
            ..SampleRow::default()
        };
        let views = [("b", None), ("c", Some(2.0)), ("a", None), ("c", Some(0.5)), ("b", None), ("c", None)].map(view);
        let (logits, classes) = (vec![vec![1.0, 0.0]; views.len()], ["x", "y"].map(str::to_owned));
        let averaged = average_views(&views, &logits, AverageClips::Prob, Labelling::SingleLabel, &classes);
        let places = |rows: &[PredictionRow]| -> Vec<(String, Option<f64>)> {
            rows.iter().map(|row| (row.video_id.clone(), row.start_secs)).collect()
        };
        assert_eq!(places(&videos_of(&views)), places(&averaged.expect("averaged")));
    }
}
