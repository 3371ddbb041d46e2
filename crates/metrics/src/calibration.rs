//! Calibration: whether a network that is certain to 80 % is correct in 80 % of the cases. The expected and the maximum calibration error
//! (ECE, MCE) over bins of equal width: Naeini et al. 2015, Guo et al. 2017.
//!
//! The confidence of a video is the probability of its predicted class. Bin `k` of `n` has confidences in `(k / n, (k + 1) / n]`; 0 is in
//! the first. ECE is the sum over bins of their share of the videos times |accuracy - mean confidence|, MCE the largest of these differences.

use crate::metric::{Compute, MeanOver, Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::{Labelling, PredictionRow};

/// Number of bins of the metrics `ece` and `mce`.
const NUM_BINS: usize = 15;

pub(crate) const ECE: Metric = Metric {
    name: "ece",
    group: MetricName::Calibration,
    labelling: Labelling::SingleLabel,
    rule: Rule::Less,
    mean_over: MeanOver::Videos,
    compute: Compute::Biased(|rows| Calibration::of_rows(rows, NUM_BINS).ece),
};

pub(crate) const MCE: Metric =
    Metric { name: "mce", compute: Compute::Biased(|rows| Calibration::of_rows(rows, NUM_BINS).mce), ..ECE };

/// The calibration of predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// All bins, in order.
    pub bins: Vec<Bin>,
    /// Expected calibration error, from 0 to 1.
    pub ece: f64,
    /// Maximum calibration error, from 0 to 1.
    pub mce: f64,
}

/// The videos with a confidence in a range.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// The confidences are above this.
    pub low: f64,
    /// The confidences are not above this.
    pub high: f64,
    /// Number of videos.
    pub num_videos: u64,
    /// Their mean confidence; 0 if there are none.
    pub confidence: f64,
    /// The share that is predicted correctly; 0 if there are none.
    pub accuracy: f64,
}

impl Calibration {
    /// Sorts videos into bins. Each has a confidence from 0 to 1, and whether it is predicted correctly.
    pub fn new(videos: impl IntoIterator<Item = (f64, bool)>, num_bins: usize) -> Self {
        let num_bins = num_bins.max(1);
        let mut sums = vec![(0_u64, 0.0, 0_u64); num_bins];
        for (confidence, correct) in videos {
            // The product may be rounded across the edge of a bin; the edges are compared as they are written.
            let mut bin = ((confidence * num_bins as f64).ceil() as usize).clamp(1, num_bins) - 1;
            let edge = |bin: usize| bin as f64 / num_bins as f64;
            if bin > 0 && confidence <= edge(bin) {
                bin -= 1;
            } else if bin + 1 < num_bins && confidence > edge(bin + 1) {
                bin += 1;
            }
            let (num_videos, confidences, num_correct) = &mut sums[bin];
            *num_videos += 1;
            *confidences += confidence;
            *num_correct += u64::from(correct);
        }
        let total: u64 = sums.iter().map(|sum| sum.0).sum();
        let bin = |(at, (num_videos, confidences, num_correct)): (usize, &(u64, f64, u64))| {
            let mean = |sum: f64| if *num_videos == 0 { 0.0 } else { sum / *num_videos as f64 };
            Bin {
                low: at as f64 / num_bins as f64,
                high: (at + 1) as f64 / num_bins as f64,
                num_videos: *num_videos,
                confidence: mean(*confidences),
                accuracy: mean(*num_correct as f64),
            }
        };
        let bins: Vec<Bin> = sums.iter().enumerate().map(bin).collect();
        let gap = |bin: &Bin| (bin.accuracy - bin.confidence).abs();
        let ece = bins.iter().map(|bin| bin.num_videos as f64 * gap(bin)).sum::<f64>() / total.max(1) as f64;
        let mce = bins.iter().map(gap).fold(0.0, f64::max);
        Self { bins, ece, mce }
    }

    /// Sorts predictions of videos with one label into bins.
    pub fn of_rows(rows: &[&PredictionRow], num_bins: usize) -> Self {
        let video = |row: &&PredictionRow| {
            let confidence = row.probabilities.get(row.predicted_index as usize).copied().unwrap_or(0.0);
            (f64::from(confidence), row.predicted_index == row.class_index)
        };
        Self::new(rows.iter().map(video), num_bins)
    }

    /// Sorts probabilities into bins.
    ///
    /// # Shapes
    /// - `probabilities`: `[N, K]`; `labels`: `[N]`
    pub fn of_probabilities(probabilities: &[Vec<f64>], labels: &[u32], num_bins: usize) -> Self {
        let video = |(row, label): (&Vec<f64>, &u32)| {
            let predicted = crate::argmax(row);
            (row.get(predicted).copied().unwrap_or(0.0), predicted == *label as usize)
        };
        Self::new(probabilities.iter().zip(labels).map(video), num_bins)
    }

    /// Returns the mean confidence of all videos; 0 if there are none.
    pub fn confidence(&self) -> f64 {
        let total: u64 = self.bins.iter().map(|bin| bin.num_videos).sum();
        mean(self.bins.iter().map(|bin| bin.num_videos as f64 * bin.confidence), total as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_edge_belongs_to_a_bin() {
        let check = |confidence: f64, num_bins: usize, expect: usize| {
            let found = Calibration::new([(confidence, true)], num_bins);
            let bins: Vec<usize> = (0..num_bins).filter(|bin| found.bins[*bin].num_videos == 1).collect();
            assert_eq!(bins, [expect], "{confidence}");
        };
        check(0.0, 10, 0);
        check(0.1, 10, 0);
        check(0.100_001, 10, 1);
        check(1.0, 10, 9);
        check(1.000_001, 10, 9);
        for num_bins in [15, 49, 1000] {
            for bin in 0..num_bins - 1 {
                let edge = (bin + 1) as f64 / num_bins as f64;
                check(edge, num_bins, bin);
                check(edge.next_up(), num_bins, bin + 1);
            }
        }
    }

    #[test]
    fn errors_are_weighted_by_videos_and_the_largest() {
        // In (0.5, 1]: 0.6, 0.8 and 1 of which one is correct: |1/3 - 0.8|. In (0, 0.5]: 0.4, correct: 0.6.
        let found = Calibration::new([(0.6, true), (0.8, false), (1.0, false), (0.4, true)], 2);
        assert!((found.ece - (0.75 * (0.8 - 1.0 / 3.0) + 0.25 * 0.6)).abs() < 1e-12, "{found:?}");
        assert!((found.mce - 0.6).abs() < 1e-12, "{found:?}");
        assert!((found.confidence() - 0.7).abs() < 1e-12);
        let none = Calibration::new([], 3);
        assert_eq!((none.ece, none.mce, none.bins.len()), (0.0, 0.0, 3));
    }

    #[test]
    fn probabilities_are_those_of_the_first_highest_class() {
        let found = Calibration::of_probabilities(&[vec![0.5, 0.5], vec![0.2, 0.8]], &[1, 1], 1);
        assert!((found.bins[0].accuracy - 0.5).abs() < 1e-12 && (found.bins[0].confidence - 0.65).abs() < 1e-12);
    }
}
