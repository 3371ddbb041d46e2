//! [`average_views`]: from the logits of clips to one prediction per video or segment.

use crate::MetricsError;
use pipe_schemas::networks::AverageClips;
use pipe_schemas::tables::{Labelling, PredictionRow, SampleRow};
use std::collections::BTreeMap;

/// Averages the views of each video, or of each segment. The result is sorted by video and times.
///
/// Probabilities are the softmax of the logits or, with several labels per video, their logistic function. (MMAction2's `prob`
/// uses softmax there as well, so that one label lowers the probability of the others.)
///
/// # Shapes
/// - `logits`: one row of `K` values for each row of `rows`
///
/// `classes` are the names of the `K` classes.
///
/// # Errors
/// [`MetricsError::NotFinite`] if a logit is NaN or infinite, [`MetricsError::Rows`] and [`MetricsError::Class`] if rows, logits and
/// classes do not fit each other.
pub fn average_views(
    rows: &[SampleRow],
    logits: &[Vec<f32>],
    average: AverageClips,
    labelling: Labelling,
    classes: &[String],
) -> Result<Vec<PredictionRow>, MetricsError> {
    if rows.len() != logits.len() {
        return Err(MetricsError::Rows { num_views: rows.len(), num_logits: logits.len() });
    }
    let mut samples: BTreeMap<_, (&SampleRow, Vec<&[f32]>)> = BTreeMap::new();
    for (row, logits) in rows.iter().zip(logits) {
        if !logits.iter().all(|value| value.is_finite()) {
            return Err(MetricsError::NotFinite { video_id: row.video_id.clone() });
        }
        samples.entry(row.sample()).or_insert((row, Vec::new())).1.push(logits);
    }
    let to_probabilities = |logits: &[f64]| match labelling {
        Labelling::SingleLabel => softmax(logits),
        Labelling::MultiLabel => logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
    };
    let prediction = |(row, views): (&SampleRow, Vec<&[f32]>)| -> Result<PredictionRow, MetricsError> {
        let views_f64: Vec<Vec<f64>> =
            views.iter().map(|view| view.iter().map(|value| f64::from(*value)).collect()).collect();
        let logits = mean_of_views(&views_f64);
        let probabilities = match average {
            AverageClips::Prob => {
                mean_of_views(&views_f64.iter().map(|view| to_probabilities(view)).collect::<Vec<_>>())
            }
            AverageClips::Score => to_probabilities(&logits),
        };
        let to_f32 = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<f32>>();
        let probabilities = to_f32(&probabilities);
        let predicted_index = argmax(&probabilities) as u32;
        let name = |class_index: u32| {
            classes.get(class_index as usize).cloned().ok_or_else(|| MetricsError::Class {
                class_index,
                video_id: row.video_id.clone(),
                num_classes: classes.len(),
            })
        };
        Ok(PredictionRow {
            video_id: row.video_id.clone(),
            start_secs: row.start_secs,
            end_secs: row.end_secs,
            class_index: row.class_index,
            more_class_indices: row.more_class_indices.clone(),
            class_names: row.class_indices().map(name).collect::<Result<_, _>>()?,
            predicted_index,
            predicted_name: name(predicted_index)?,
            num_views: views.len() as u32,
            logits: to_f32(&logits),
            probabilities,
        })
    };
    samples.into_values().map(prediction).collect()
}

/// Returns the mean over views of scores by class. Classes that not all views have are left out.
pub fn mean_of_views(views: &[Vec<f64>]) -> Vec<f64> {
    let len = views.iter().map(Vec::len).min().unwrap_or(0);
    (0..len).map(|class| views.iter().map(|view| view[class]).sum::<f64>() / views.len() as f64).collect()
}

/// Returns the probabilities of logits, which sum to 1.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Returns the position of the highest value; the first of equal ones, and 0 if there are none.
pub fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    let better = |best: usize, at: usize| if values[at] > values[best] { at } else { best };
    (0..values.len()).reduce(better).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(video_id: &str, view: u32) -> SampleRow {
        SampleRow {
            epoch: 0,
            position: 0,
            video_id: video_id.into(),
            class_index: 1,
            view,
            frame_indices: vec![0],
            crop_x: 0.0,
            crop_y: 0.0,
            crop_width: 1.0,
            crop_height: 1.0,
            flip: false,
            ..SampleRow::default()
        }
    }

    fn names() -> Vec<String> {
        ["run", "jump", "walk"].map(str::to_owned).into()
    }

    fn check(views: &[[f32; 2]], average: AverageClips, probabilities: [f32; 2], predicted_index: u32) {
        let rows: Vec<_> = (0..views.len()).map(|view| row("a", view as u32)).collect();
        let logits: Vec<_> = views.iter().map(|view| view.to_vec()).collect();
        let prediction =
            average_views(&rows, &logits, average, Labelling::SingleLabel, &names()).expect("averaged").remove(0);
        for (found, expect) in prediction.probabilities.iter().zip(probabilities) {
            assert!((found - expect).abs() < 1e-6, "{:?}, not {probabilities:?}", prediction.probabilities);
        }
        assert_eq!((prediction.predicted_index, prediction.num_views), (predicted_index, views.len() as u32));
    }

    #[test]
    fn views_are_averaged_as_probabilities_or_as_logits() {
        // softmax(ln 9, 0) = .9, .1; softmax(0, ln 3) = .25, .75; mean logits: ln 9 / 2 = ln 3 against ln 3 / 2.
        let views = [[9f32.ln(), 0.0], [0.0, 3f32.ln()]];
        check(&views, AverageClips::Prob, [0.575, 0.425], 0);
        let (a, b) = (3.0, 3f32.sqrt());
        check(&views, AverageClips::Score, [a / (a + b), b / (a + b)], 0);
        // Where the two disagree: one view is certain of class 0, two favour class 1.
        let views = [[4.0, 0.0], [0.0, 1.5], [0.0, 1.5]];
        check(
            &views,
            AverageClips::Score,
            [1.0 / (1.0 + (-1.0f32 / 3.0).exp()), 1.0 / (1.0 + (1.0f32 / 3.0).exp())],
            0,
        );
        let logistic = |x: f32| 1.0 / (1.0 + (-x).exp());
        let second = (2.0 * logistic(1.5) + logistic(-4.0)) / 3.0;
        check(&views, AverageClips::Prob, [1.0 - second, second], 1);
    }

    #[test]
    fn several_labels_have_independent_probabilities() {
        let rows = [0, 1].map(|view| SampleRow { more_class_indices: vec![2], ..row("a", view) });
        let logits = [vec![9f32.ln(), 0.0, -(3f32.ln())], vec![-(9f32.ln()), 0.0, 3f32.ln()]];
        let check = |average, expect: [f32; 3]| {
            let found =
                average_views(&rows, &logits, average, Labelling::MultiLabel, &names()).expect("averaged").remove(0);
            assert!(
                found.probabilities.iter().zip(expect).all(|(found, like)| (found - like).abs() < 1e-6),
                "{found:?}"
            );
            assert_eq!(found.class_indices().collect::<Vec<_>>(), [1, 2]);
            assert_eq!(found.class_names, ["jump", "walk"]);
        };
        check(AverageClips::Prob, [0.5; 3]); // (.9 + .1) / 2, .5, (.25 + .75) / 2
        check(AverageClips::Score, [0.5; 3]);
        let logits = [vec![9f32.ln(), 9f32.ln(), 0.0], vec![0.0, 9f32.ln(), 0.0]];
        let found = average_views(&rows, &logits, AverageClips::Prob, Labelling::MultiLabel, &names())
            .expect("averaged")
            .remove(0);
        assert!((found.probabilities[0] - 0.7).abs() < 1e-6 && (found.probabilities[1] - 0.9).abs() < 1e-6);
        assert_eq!((found.predicted_index, found.predicted_name.as_str()), (1, "jump"));
    }

    #[test]
    fn segments_of_a_video_are_averaged_separately() {
        let segment = |start_secs, view| SampleRow {
            start_secs: Some(start_secs),
            end_secs: Some(20.0),
            class_index: u32::from(start_secs > 5.0),
            ..row("a", view)
        };
        let rows = [segment(10.0, 0), row("a", 0), segment(2.5, 0), segment(2.5, 1), segment(10.0, 1)];
        let logits = [[0.0, 2.0], [3.0, 0.0], [1.0, 0.0], [3.0, 0.0], [0.0, 4.0]].map(|view| view.to_vec());
        let found =
            average_views(&rows, &logits, AverageClips::Score, Labelling::SingleLabel, &names()).expect("averaged");
        let found: Vec<_> =
            found.iter().map(|row| (row.start_secs, row.class_index, row.num_views, row.logits.clone())).collect();
        let expect =
            [(None, 1, 1, vec![3.0, 0.0]), (Some(2.5), 0, 2, vec![2.0, 0.0]), (Some(10.0), 1, 2, vec![0.0, 3.0])];
        assert_eq!(found, expect);
    }

    #[test]
    fn the_first_of_equal_classes_is_predicted() {
        check(&[[1.0, 1.0]], AverageClips::Prob, [0.5, 0.5], 0);
    }

    #[test]
    fn videos_are_sorted_and_nan_is_an_error() {
        let rows = [row("b", 0), row("a", 0), row("b", 1)];
        let logits = vec![vec![0.0, 1.0]; 3];
        let predictions =
            average_views(&rows, &logits, AverageClips::Prob, Labelling::SingleLabel, &names()).expect("averaged");
        let found: Vec<_> = predictions.iter().map(|row| (row.video_id.as_str(), row.num_views)).collect();
        assert_eq!(found, [("a", 1), ("b", 2)]);
        let logits = vec![vec![f32::NAN, 0.0]; 3];
        let error = average_views(&rows, &logits, AverageClips::Prob, Labelling::SingleLabel, &names())
            .expect_err("not finite");
        assert_eq!(error.to_string(), "the logits of `b` are not finite");
    }

    #[test]
    fn rows_logits_and_classes_must_fit() {
        let rows = [row("b", 0), row("a", 0)];
        let check = |logits: &[Vec<f32>], classes: &[String], expect: &str| {
            let found = average_views(&rows, logits, AverageClips::Prob, Labelling::SingleLabel, classes);
            assert_eq!(found.expect_err("an error").to_string(), expect);
        };
        check(&[vec![0.0, 1.0]], &names(), "2 views have 1 rows of logits");
        let one = vec![vec![0.0, 1.0]; 2];
        check(&one, &names()[..1], "class 1 of `a` is out of range: there are 1 classes, counted from 0");
    }
}
