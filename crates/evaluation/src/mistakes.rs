//! The most confident mistakes, as a contact sheet with true and predicted names.

use crate::EvaluationError;
use pipe_clips::{ClipSize, Loader};
use pipe_pictures::{Sheet, sheet_of_clips};
use pipe_schemas::tables::{PredictionRow, SampleRow};

/// Maximum number of frames of each mistake.
const MAX_FRAMES: usize = 4;

/// Returns the wrong predictions with the highest probabilities, the highest first; at most `most` of them.
pub fn most_confident(predictions: &[PredictionRow], most: usize) -> Vec<&PredictionRow> {
    let mut wrong: Vec<&PredictionRow> = predictions.iter().filter(|row| !is_correct(row)).collect();
    wrong.sort_by(|a, b| confidence(b).total_cmp(&confidence(a)));
    wrong.truncate(most);
    wrong
}

/// Draws the first view of each of the most confident mistakes, at most `most` of them; `None` if there is none.
///
/// `views` are all test views, of `size`.
pub fn sheet(
    predictions: &[PredictionRow],
    views: &[SampleRow],
    loader: &Loader,
    size: ClipSize,
    most: usize,
    threads: usize,
) -> Result<Option<Sheet>, EvaluationError> {
    let chosen: Vec<(&SampleRow, String)> =
        most_confident(predictions, most).into_iter().filter_map(|row| shown(row, views)).collect();
    if chosen.is_empty() {
        return Ok(None);
    }
    Ok(Some(sheet_of_clips(loader, views, &chosen, size, MAX_FRAMES, threads)?))
}

/// Returns whether the prediction is a label of the video.
pub fn is_correct(row: &PredictionRow) -> bool {
    row.class_indices().any(|class_index| class_index == row.predicted_index)
}

/// Returns the probability of the predicted class.
pub fn confidence(row: &PredictionRow) -> f32 {
    row.probabilities.get(row.predicted_index as usize).copied().unwrap_or(0.0)
}

/// Returns the first view of a prediction, and the text above it.
fn shown<'a>(row: &PredictionRow, views: &'a [SampleRow]) -> Option<(&'a SampleRow, String)> {
    let view = views.iter().find(|view| view.sample() == crate::key(row))?;
    let (predicted, percent, label) = (&row.predicted_name, 100.0 * confidence(row), row.class_names.join(", "));
    Some((view, format!("{predicted} {percent:.0} %, is {label} - {}", row.video_id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tests::row;

    #[test]
    fn the_most_confident_mistakes_come_first() {
        let rows = [row("a", 0, &[0.4, 0.6]), row("b", 0, &[0.9, 0.1]), row("c", 1, &[0.8, 0.2])];
        assert_eq!(most_confident(&rows, 6), [&rows[2], &rows[0]]);
        assert_eq!(most_confident(&rows, 1), [&rows[2]]);
        let several = PredictionRow { more_class_indices: vec![1], ..row("a", 0, &[0.4, 0.6]) };
        assert!(most_confident(&[several], 6).is_empty());
    }

    #[test]
    fn a_mistake_is_shown_by_its_own_view() {
        let mut segment = row("a", 0, &[0.4, 0.6]);
        segment.start_secs = Some(2.0);
        let view = |video_id: &str, start_secs, view| SampleRow {
            video_id: video_id.into(),
            start_secs,
            view,
            ..SampleRow::default()
        };
        let views = [view("a", None, 0), view("a", Some(2.0), 1), view("a", Some(2.0), 2)];
        let (found, text) = shown(&segment, &views).expect("a view");
        assert_eq!((found.view, text.as_str()), (1, "c1 60 %, is c0 - a"));
        assert!(shown(&row("b", 0, &[1.0]), &views).is_none());
    }
}
