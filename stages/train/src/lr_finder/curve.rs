//! [`Curve`]: the loss over the learning rate.

use super::suggest::{Suggestion, smooth};
use pipe_pictures::{Line, Plot};
use pipe_schemas::tables::LrCurveRow;
use std::io;

/// Share of the running mean in the next one.
const INERTIA: f64 = 0.9;

/// The loss over the learning rate, as far as it was measured.
#[derive(Debug)]
pub(super) struct Curve {
    stop_factor: f64,
    points: Vec<(f64, f64)>,
    mean: f64,
    lowest_mean: f64,
}

impl Curve {
    pub(super) fn new(stop_factor: f64) -> Self {
        Self { stop_factor, points: Vec::new(), mean: 0.0, lowest_mean: f64::INFINITY }
    }

    pub(super) fn num_steps(&self) -> usize {
        self.points.len()
    }

    pub(super) fn add(&mut self, lr: f64, loss: f64) {
        self.points.push((lr, loss));
        self.mean = INERTIA * self.mean + (1.0 - INERTIA) * loss;
        self.lowest_mean = self.lowest_mean.min(self.running_mean());
    }

    /// Returns whether the running mean is much higher than it was.
    pub(super) fn diverges(&self) -> bool {
        self.running_mean() > self.stop_factor * self.lowest_mean
    }

    /// Returns the running mean of the losses, in which the first ones do not weigh less.
    fn running_mean(&self) -> f64 {
        self.mean / (1.0 - INERTIA.powf(self.points.len() as f64))
    }

    pub(super) fn rows(&self) -> Vec<LrCurveRow> {
        let losses: Vec<f64> = self.points.iter().map(|(_, loss)| *loss).collect();
        let row = |((step, (lr, loss)), smoothed_loss): ((u32, &(f64, f64)), f64)| LrCurveRow {
            step,
            lr: *lr,
            loss: *loss,
            smoothed_loss,
        };
        (0..).zip(&self.points).zip(smooth(&losses)).map(row).collect()
    }
}

const LOSS: [u8; 3] = [110; 3];
const SMOOTHED: [u8; 3] = [80, 170, 255];

/// A smoothed loss above the first one times this is not drawn: the fall before it would be a flat line.
const HIGHEST_SHARE: f64 = 1.5;

/// Returns a picture of the curve as PNG, up to where the loss is much higher than at first.
pub(super) fn picture(rows: &[LrCurveRow], suggestion: Option<&Suggestion>) -> io::Result<Vec<u8>> {
    let highest = rows.first().map_or(f64::INFINITY, |row| HIGHEST_SHARE * row.smoothed_loss);
    let rows: Vec<&LrCurveRow> = rows.iter().take_while(|row| row.smoothed_loss <= highest).collect();
    let line =
        |of: fn(&LrCurveRow) -> f64, ink| Line { points: rows.iter().map(|row| (row.lr, of(row))).collect(), ink };
    let plot = Plot {
        title: "loss over learning rate, and smoothed".to_owned(),
        lines: vec![line(|row| row.loss, LOSS), line(|row| row.smoothed_loss, SMOOTHED)],
        mark: suggestion.map(|suggestion| (suggestion.lr, format!("lr {}", suggestion.lr))),
    };
    plot.to_png()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_when_its_running_mean_is_much_higher_than_before() {
        let mut curve = Curve::new(4.0);
        for loss in [2.0, 1.0, 1.0, 1.0] {
            curve.add(0.1, loss);
            assert!(!curve.diverges());
        }
        curve.add(0.1, 8.0);
        assert!(!curve.diverges(), "a single outlier");
        curve.add(0.1, 20.0);
        assert!(curve.diverges());
        assert_eq!((curve.num_steps(), curve.rows()[5].step), (6, 5));
    }
}
