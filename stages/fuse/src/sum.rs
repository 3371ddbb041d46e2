//! The weighted sum of predictions.

use pipe_metrics::{argmax, fuse};
use pipe_schemas::tables::{Labelling, PredictionRow};

/// Returns the fused prediction of each video. `tables` have the same videos in the same order, and the same number of classes.
///
/// The probabilities are the weighted sum divided by the sum of the weights, which changes no ranking. The logits are those whose softmax, or
/// logistic function with several labels, gives these probabilities; the logarithm of 0 is that of the smallest number.
pub(crate) fn fused(
    tables: &[Vec<PredictionRow>],
    coefficients: &[f64],
    labelling: Labelling,
    classes: &[String],
) -> Option<Vec<PredictionRow>> {
    let scores = |rows: &Vec<PredictionRow>| -> Vec<Vec<f64>> {
        rows.iter().map(|row| row.probabilities.iter().map(|value| f64::from(*value)).collect()).collect()
    };
    let scores: Vec<Vec<Vec<f64>>> = tables.iter().map(scores).collect();
    let total: f64 = coefficients.iter().sum();
    let sums = fuse(&scores.iter().map(Vec::as_slice).collect::<Vec<_>>(), coefficients)?;
    let row = |(at, sum): (usize, Vec<f64>)| {
        let probabilities: Vec<f32> = sum.iter().map(|value| (value / total).clamp(0.0, 1.0) as f32).collect();
        let predicted = argmax(&sum);
        PredictionRow {
            predicted_index: predicted as u32,
            predicted_name: classes.get(predicted).cloned().unwrap_or_default(),
            num_views: tables.iter().map(|rows| rows[at].num_views).fold(0, u32::saturating_add),
            logits: sum.iter().map(|value| logit(value / total, labelling)).collect(),
            probabilities,
            ..tables[0][at].clone()
        }
    };
    Some(sums.into_iter().enumerate().map(row).collect())
}

fn logit(probability: f64, labelling: Labelling) -> f32 {
    let log = |value: f64| value.max(f64::from(f32::MIN_POSITIVE)).ln();
    let logit = match labelling {
        Labelling::SingleLabel => log(probability),
        Labelling::MultiLabel => log(probability) - log(1.0 - probability),
    };
    logit as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(probabilities: &[f32]) -> PredictionRow {
        PredictionRow {
            video_id: "a".into(),
            num_views: 2,
            probabilities: probabilities.into(),
            ..PredictionRow::default()
        }
    }

    #[test]
    fn the_sum_decides_and_probabilities_stay_probabilities() {
        let tables = [vec![row(&[0.6, 0.4, 0.0])], vec![row(&[0.1, 0.9, 0.0])]];
        let classes = ["x", "y", "z"].map(str::to_owned);
        let check = |coefficients: &[f64], expect: &[f32], name: &str| {
            let found = fused(&tables, coefficients, Labelling::SingleLabel, &classes).expect("equal sizes").remove(0);
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
            assert!(found.probabilities.iter().zip(expect).all(near), "{found:?}");
            let softmax =
                pipe_metrics::softmax(&found.logits.iter().map(|logit| f64::from(*logit)).collect::<Vec<_>>());
            assert!(softmax.iter().zip(expect).all(|(a, b)| (*a as f32 - b).abs() < 1e-6), "{found:?}");
            assert_eq!((found.predicted_name.as_str(), found.num_views), (name, 4));
        };
        check(&[1.0, 1.0], &[0.35, 0.65, 0.0], "y");
        check(&[3.0, 1.0], &[0.475, 0.525, 0.0], "y");
        check(&[9.0, 1.0], &[0.55, 0.45, 0.0], "x");
        let several = fused(&tables, &[1.0, 1.0], Labelling::MultiLabel, &classes).expect("equal sizes").remove(0);
        assert!((several.logits[0] - (0.35_f32 / 0.65).ln()).abs() < 1e-5, "{several:?}");
    }
}
