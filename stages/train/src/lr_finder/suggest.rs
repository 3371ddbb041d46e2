//! [`suggest`]: the learning rate at which the loss falls fastest.

use pipe_schemas::tables::LrCurveRow;

/// A rate that follows from a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Suggestion {
    /// The rate at which the smoothed loss falls fastest, with two digits: the curve does not say more.
    pub(super) lr: f64,
    pub(super) lr_of_lowest_loss: f64,
}

/// Minimum number of steps of a curve.
const MIN_STEPS: usize = 10;

/// Share of the first losses that the loss must fall by. Less is noise of batches.
const MIN_FALL: f64 = 0.05;

/// Returns the rate at which the smoothed loss falls fastest over the logarithm of the rate, before its lowest value; `None` if it does
/// not fall by [`MIN_FALL`], or the curve is too short.
pub(super) fn suggest(rows: &[LrCurveRow]) -> Option<Suggestion> {
    if rows.len() < MIN_STEPS {
        return None;
    }
    let loss = |place: usize| rows[place].smoothed_loss;
    let lowest = (0..rows.len()).min_by(|one, two| loss(*one).total_cmp(&loss(*two)))?;
    // The rates grow by the same factor, so that differences are slopes.
    let slope = |place: &usize| loss(place + 1) - loss(place - 1);
    let steepest = (1..lowest).min_by(|one, two| slope(one).total_cmp(&slope(two)))?;
    let suggestion = Suggestion { lr: two_digits(rows[steepest].lr), lr_of_lowest_loss: rows[lowest].lr };
    let num_first = rows.len().div_ceil(10);
    let first = rows[..num_first].iter().map(|row| row.loss).sum::<f64>() / num_first as f64;
    (slope(&steepest) < 0.0 && loss(lowest) < (1.0 - MIN_FALL) * first).then_some(suggestion)
}

/// Returns the mean of each loss and those around it, so that a step does not stand for the losses before it only.
pub(super) fn smooth(losses: &[f64]) -> Vec<f64> {
    let around = (losses.len() / 20).max(1);
    let mean = |place: usize| {
        let around = around.min(place).min(losses.len() - 1 - place);
        let window = &losses[place - around..=place + around];
        window.iter().sum::<f64>() / window.len() as f64
    };
    (0..losses.len()).map(mean).collect()
}

fn two_digits(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a curve of rates from 1e-5 that grow by the square root of 10.
    fn curve(losses: &[f64]) -> Vec<LrCurveRow> {
        let smoothed = smooth(losses);
        let row = |(step, (loss, smoothed_loss)): (u32, (&f64, &f64))| LrCurveRow {
            step,
            lr: 1e-5 * 10f64.powf(f64::from(step) / 2.0),
            loss: *loss,
            smoothed_loss: *smoothed_loss,
        };
        (0..).zip(losses.iter().zip(&smoothed)).map(row).collect()
    }

    #[test]
    fn the_rate_is_where_the_loss_falls_fastest() {
        let losses = [2.0, 2.0, 2.0, 1.9, 1.5, 1.1, 1.0, 0.95, 1.5, 9.0, 40.0];
        let suggestion = suggest(&curve(&losses)).expect("a suggestion");
        assert!((suggestion.lr - 0.001).abs() < 1e-12, "{suggestion:?}");
        assert!((suggestion.lr_of_lowest_loss - 1e-5 * 10f64.powf(3.0)).abs() < 1e-9, "{suggestion:?}");
    }

    #[test]
    fn a_fall_after_the_lowest_loss_does_not_count() {
        let losses = [2.0, 1.9, 1.7, 1.6, 1.0, 1.0, 1.1, 50.0, 60.0, 20.0, 9.0, 9.0];
        assert!(suggest(&curve(&losses)).is_some_and(|suggestion| suggestion.lr < 0.01));
    }

    #[test]
    fn a_loss_that_never_falls_suggests_nothing() {
        let rising: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(suggest(&curve(&rising)), None);
        assert_eq!(suggest(&curve(&[1.0; 20])), None);
        let noise: Vec<f64> = (0..20).map(|step| 1.0 + 0.03 * f64::from(step % 3 - 1)).collect();
        assert_eq!(suggest(&curve(&noise)), None);
        assert_eq!(suggest(&curve(&[3.0, 2.0, 1.0])), None, "too short");
    }

    #[test]
    fn a_loss_is_averaged_with_those_around_it() {
        assert_eq!(smooth(&[0.0, 3.0, 6.0, 0.0]), [0.0, 3.0, 3.0, 0.0]);
        assert_eq!(smooth(&[]), Vec::<f64>::new());
    }

    #[test]
    fn a_rate_has_two_digits() {
        for (rate, expect) in [(0.001_234_5, 0.0012), (0.0996, 0.1), (2.96, 3.0)] {
            assert!((two_digits(rate) - expect).abs() < 1e-12, "{rate}");
        }
    }
}
