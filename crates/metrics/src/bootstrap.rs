//! Bootstrap: how much metrics vary if the evaluated videos had been others of the same kind. [`Resamples`] draws units with replacement,
//! [`Estimator`] computes metrics of a draw, [`Interval`] is the range that holds the given share of the values: the percentile bootstrap,
//! Efron 1979.
//!
//! A unit is a video or, since videos that were cut from one source are alike, a group of videos. Draws depend on the seed, the number of the
//! draw and the number of units only. Metrics that drawing with replacement shifts, such as ECE, have no interval.

use crate::metric::{Compute, Metric, mean};
use crate::{ConfusionMatrix, MeanOver};
use pipe_schemas::tables::PredictionRow;

/// Draws of units with replacement.
#[derive(Debug)]
pub struct Resamples<'a> {
    /// For each unit, the positions of its rows.
    units: &'a [Vec<usize>],
    state: u64,
}

impl<'a> Resamples<'a> {
    /// Returns the draws of a seed. `units` are the positions of the rows of each unit.
    pub fn new(units: &'a [Vec<usize>], seed: u64) -> Self {
        Self { units, state: seed }
    }

    /// Draws as many units as there are, and returns the positions of their rows.
    pub fn draw(&mut self) -> Vec<usize> {
        let count = self.units.len() as u64;
        let draws = (0..count).map(|_| {
            // The high half of a product is below `count`; for any number of units the bias is below 2^-32.
            ((u128::from(self.next()) * u128::from(count)) >> 64) as usize
        });
        let drawn: Vec<usize> = draws.collect();
        drawn.into_iter().flat_map(|unit| self.units[unit].iter().copied()).collect()
    }

    /// Returns 64 random bits: `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.state;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Computes metrics of rows that are given by their positions.
#[derive(Debug)]
pub struct Estimator<'a> {
    rows: &'a [PredictionRow],
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    /// The value of each row.
    Mean(Vec<f64>),
    Confusion(fn(&ConfusionMatrix) -> f64),
    All(fn(&[&PredictionRow]) -> f64),
}

impl<'a> Estimator<'a> {
    /// Prepares the metrics of `rows`.
    pub fn new(rows: &'a [PredictionRow], metrics: &[Metric]) -> Self {
        let part = |metric: &Metric| match metric.compute {
            Compute::Mean(of_video) => Part::Mean(rows.iter().map(of_video).collect()),
            Compute::Confusion(of_matrix) => Part::Confusion(of_matrix),
            Compute::All(of_all) | Compute::Biased(of_all) => Part::All(of_all),
        };
        Self { rows, parts: metrics.iter().map(part).collect() }
    }

    /// Returns the value of each metric on the rows at these positions.
    pub fn values(&self, positions: &[usize]) -> Vec<f64> {
        let rows = || positions.iter().map(|at| &self.rows[*at]);
        let needs_matrix = self.parts.iter().any(|part| matches!(part, Part::Confusion(_)));
        let needs_rows = self.parts.iter().any(|part| matches!(part, Part::All(_)));
        let matrix = if needs_matrix { ConfusionMatrix::of_rows(rows()) } else { ConfusionMatrix::new(0) };
        let all: Vec<&PredictionRow> = if needs_rows { rows().collect() } else { Vec::new() };
        let value = |part: &Part| match part {
            Part::Mean(values) => mean(positions.iter().map(|at| values[*at]), positions.len()),
            Part::Confusion(of_matrix) => of_matrix(&matrix),
            Part::All(of_all) => of_all(&all),
        };
        self.parts.iter().map(value).collect()
    }
}

impl Metric {
    /// Returns whether drawing videos with replacement leaves the metric where it is, so that a bootstrap interval says something.
    pub fn has_interval(&self) -> bool {
        match self.compute {
            Compute::Mean(_) | Compute::Confusion(_) | Compute::All(_) => true,
            Compute::Biased(_) => false,
        }
    }

    /// Returns the number of classes that the metric is a mean over; `None` if it is a mean over videos.
    pub fn num_classes(&self, rows: &[PredictionRow]) -> Option<usize> {
        let count = |occurs: &dyn Fn(&PredictionRow, u32) -> bool| {
            let classes = 0..rows.first().map_or(0, |row| row.probabilities.len()) as u32;
            Some(classes.filter(|class| rows.iter().any(|row| occurs(row, *class))).count())
        };
        match self.mean_over {
            MeanOver::Videos => None,
            MeanOver::LabelledClasses => count(&|row, class| row.class_indices().any(|label| label == class)),
            MeanOver::PresentClasses => {
                count(&|row, class| row.predicted_index == class || row.class_indices().any(|label| label == class))
            }
            MeanOver::AllClasses => count(&|_, _| true),
        }
    }
}

/// A range that holds the given share of the values of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Number of draws for which the metric is defined; the interval is about these.
    pub num_defined: u64,
}

impl Interval {
    /// Returns the interval of values with the share `confidence` in the middle; values that are NaN are left out. `None` if there are no
    /// others.
    pub fn of(values: impl IntoIterator<Item = f64>, confidence: f64) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        let tail = (1.0 - confidence) / 2.0;
        let (low, high) = (quantile(&values, tail)?, quantile(&values, 1.0 - tail)?);
        Some(Self { low, high, num_defined: values.len() as u64 })
    }
}

/// Returns a quantile of sorted values, with linear interpolation as in numpy; `None` if there are no values.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    Some(low + (high - low) * (place - below as f64))
}

/// Returns the intervals of metrics over `num_samples` draws of units, in the order of the metrics. `None` if a metric is not defined for any
/// draw.
pub fn bootstrap(
    rows: &[PredictionRow],
    metrics: &[Metric],
    units: &[Vec<usize>],
    num_samples: u32,
    confidence: f64,
    seed: u64,
) -> Vec<Option<Interval>> {
    let estimator = Estimator::new(rows, metrics);
    let mut resamples = Resamples::new(units, seed);
    let draws: Vec<Vec<f64>> = (0..num_samples).map(|_| estimator.values(&resamples.draw())).collect();
    (0..metrics.len()).map(|at| Interval::of(draws.iter().map(|draw| draw[at]), confidence)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::tests::row;
    use crate::metric::{OF_EVALUATIONS, OF_TRAINING};
    use pipe_schemas::tables::Labelling;

    fn rows() -> Vec<PredictionRow> {
        // 30 videos of 3 classes, of which those with a number that 4 divides are wrong.
        let row = |at: u32| {
            let (label, predicted) = (at % 3, if at.is_multiple_of(4) { (at + 1) % 3 } else { at % 3 });
            let mut probabilities = [0.2, 0.2, 0.2];
            probabilities[predicted as usize] = 0.6;
            row(label, &probabilities)
        };
        (0..30).map(row).collect()
    }

    fn each_alone(count: usize) -> Vec<Vec<usize>> {
        (0..count).map(|at| vec![at]).collect()
    }

    #[test]
    fn intervals_contain_the_value_and_shrink_with_confidence() {
        let rows = rows();
        let metrics: Vec<Metric> = OF_TRAINING.iter().chain(OF_EVALUATIONS).copied().collect();
        let metrics: Vec<Metric> = metrics
            .into_iter()
            .filter(|metric| metric.labelling == Labelling::SingleLabel && metric.has_interval())
            .collect();
        let units = each_alone(rows.len());
        for seed in 0..5 {
            let wide = bootstrap(&rows, &metrics, &units, 400, 0.95, seed);
            let narrow = bootstrap(&rows, &metrics, &units, 400, 0.5, seed);
            for (metric, (wide, narrow)) in metrics.iter().zip(wide.iter().zip(&narrow)) {
                let (value, wide, narrow) = (metric.value(&rows), wide.expect("defined"), narrow.expect("defined"));
                let name = metric.name;
                assert!(wide.low <= value + 1e-12 && value <= wide.high + 1e-12, "{name}: {value} in {wide:?}");
                assert!(wide.low <= narrow.low && narrow.high <= wide.high, "{name}: {narrow:?} in {wide:?}");
                assert_eq!(wide.num_defined, 400, "{name}");
            }
        }
    }

    /// The standard error of a share of 30 is about 0.08, so 95 % are about 4 × 0.08 wide; units of ten equal rows vary more.
    #[test]
    fn the_width_is_that_of_the_number_of_units() {
        let rows: Vec<PredictionRow> = (0..30).map(|at| row(u32::from(at >= 20), &[0.9, 0.1])).collect();
        let top1 = [OF_TRAINING[0]];
        let width = |units: &[Vec<usize>]| {
            let found = bootstrap(&rows, &top1, units, 2000, 0.95, 1)[0].expect("defined");
            found.high - found.low
        };
        let (videos, groups) = (width(&each_alone(30)), width(&[0, 10, 20].map(|from| (from..from + 10).collect())));
        assert!((0.27..0.40).contains(&videos), "{videos}");
        assert!(groups > 0.9, "{groups}");
        assert!(
            bootstrap(&rows, &top1, &each_alone(30), 50, 0.95, 1)
                == bootstrap(&rows, &top1, &each_alone(30), 50, 0.95, 1)
        );
    }

    #[test]
    fn every_unit_is_drawn_equally_often() {
        let units = each_alone(7);
        let mut resamples = Resamples::new(&units, 3);
        let mut counts = [0_u32; 7];
        for _ in 0..2000 {
            let drawn = resamples.draw();
            assert_eq!(drawn.len(), 7);
            for at in drawn {
                counts[at] += 1;
            }
        }
        assert!(counts.iter().all(|count| (1850..2150).contains(count)), "{counts:?}");
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        let found = Interval::of([4.0, 1.0, f64::NAN, 2.0, 3.0], 0.5).expect("values");
        assert_eq!(found, Interval { low: 1.75, high: 3.25, num_defined: 4 });
        assert_eq!(Interval::of([f64::NAN], 0.5), None);
        assert!(bootstrap(&[], &[OF_TRAINING[0]], &[], 10, 0.95, 0)[0].is_some_and(|found| found.high == 0.0));
    }

    #[test]
    fn denominators_count_the_classes_of_the_mean() {
        let rows = [row(0, &[0.9, 0.1, 0.0, 0.0]), row(0, &[0.1, 0.9, 0.0, 0.0])];
        let count = |name: &str| {
            let metric = OF_TRAINING.iter().chain(OF_EVALUATIONS).find(|metric| metric.name == name).expect("a metric");
            metric.num_classes(&rows)
        };
        assert_eq!(count("top1"), None);
        assert_eq!((count("mean_class_accuracy"), count("balanced_accuracy")), (Some(2), Some(1)));
    }
}
