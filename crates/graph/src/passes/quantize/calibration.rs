//! [`Calibration`]: the range of a value that integers cover.

/// How the range is chosen. Values outside of it are clipped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Calibration {
    /// All values that were seen.
    MinMax,
    /// This percentage of the values that were seen, from 0 to 100: as many are left out at both ends.
    Percentile(f64),
    /// The part of the range with the smallest Kullback-Leibler divergence between the values before and after rounding.
    Entropy,
    /// The part of the range with the smallest mean of squared differences between the values before and after rounding.
    Mse,
}

/// The 8-bit integers that values are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integers {
    /// 0 to 255, where any of them may stand for 0.
    Unsigned,
    /// -127 to 127, where 0 stands for 0.
    Signed,
}

/// How often values were seen, in bins of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// The smallest value.
    pub low: f64,
    /// The largest value.
    pub high: f64,
    /// The number of values in each bin. The last one includes `high`.
    pub counts: Vec<f64>,
}

/// The shares of an end of the range that [`Calibration::Entropy`] and [`Calibration::Mse`] try, in steps of 1 / 128.
const SHARES: std::ops::RangeInclusive<u32> = 16..=128;

impl Calibration {
    /// Returns the range for values with this histogram. It contains 0, which integers represent exactly.
    ///
    /// The range of signed integers has the same size on both sides of 0.
    pub fn range(self, histogram: &Histogram, integers: Integers) -> (f64, f64) {
        let (low, high) = match self {
            Self::MinMax => (histogram.low, histogram.high),
            Self::Percentile(percentile) => histogram.middle(percentile / 100.0),
            Self::Entropy => histogram.without_zero().best_part(integers, divergence),
            Self::Mse => histogram.best_part(integers, squared_error),
        };
        let (low, high) = (low.min(0.0), high.max(0.0));
        match integers {
            Integers::Unsigned => (low, high),
            Integers::Signed => (-high.max(-low), high.max(-low)),
        }
    }
}

impl Integers {
    /// Returns the number of integers in use: signed ones do not have -128.
    fn levels(self) -> u32 {
        match self {
            Self::Unsigned => 256,
            Self::Signed => 255,
        }
    }
}

impl Histogram {
    /// Returns the range of the middle `share` of the values, whole bins at a time.
    fn middle(&self, share: f64) -> (f64, f64) {
        let total: f64 = self.counts.iter().sum();
        let out = total * (1.0 - share.clamp(0.0, 1.0)) / 2.0;
        let skip = |counts: &mut dyn Iterator<Item = &f64>| {
            let mut sum = 0.0;
            counts
                .take_while(|count| {
                    sum += **count;
                    // Sums of counts are exact, their share is not.
                    sum <= out * (1.0 + 1e-9)
                })
                .count()
        };
        let (first, last) = (skip(&mut self.counts.iter()), skip(&mut self.counts.iter().rev()));
        if first + last >= self.counts.len() {
            return (self.low, self.high);
        }
        (self.edge(first), self.edge(self.counts.len() - last))
    }

    /// Returns the lower edge of a bin.
    fn edge(&self, bin: usize) -> f64 {
        self.low + (self.high - self.low) * bin as f64 / self.counts.len() as f64
    }

    /// Returns it without the values of the bin of 0, which integers represent exactly. After a ReLU their number would outweigh all others,
    /// as if rounding them had a cost.
    fn without_zero(&self) -> Self {
        let mut counts = self.counts.clone();
        let bin = (-self.low / (self.high - self.low) * counts.len() as f64).floor();
        if bin >= 0.0 && (bin as usize) < counts.len() {
            counts[bin as usize] = 0.0;
        }
        Self { counts, ..*self }
    }

    /// Returns the centres of the bins that are not empty, with their counts.
    fn points(&self) -> Vec<(f64, f64)> {
        let half = (self.high - self.low) / self.counts.len().max(1) as f64 / 2.0;
        let point = |(bin, count): (usize, &f64)| (self.edge(bin) + half, *count);
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0.0).map(point).collect()
    }

    /// Returns the part of the range, with 0, that has the smallest cost: of an even one, the same share at both ends, else a share of
    /// each end, the upper one first.
    fn best_part(&self, integers: Integers, cost: fn(&[(f64, f64)], Grid) -> f64) -> (f64, f64) {
        let (mut low, mut high) = (self.low.min(0.0), self.high.max(0.0));
        let points = self.points();
        let cost_of = |low: f64, high: f64| cost(&points, Grid::of(low, high, integers.levels()));
        match integers {
            Integers::Signed => {
                let end = high.max(-low);
                let end = best_share(end, |end| cost_of(-end, end));
                (-end, end)
            }
            Integers::Unsigned => {
                for _ in 0..2 {
                    high = best_share(high, |high| cost_of(low, high));
                    low = best_share(low, |low| cost_of(low, high));
                }
                (low, high)
            }
        }
    }
}

/// Returns the share of an end of the range that has the smallest cost; all of it where costs are equal.
fn best_share(end: f64, cost: impl Fn(f64) -> f64) -> f64 {
    let share = |share: u32| end * f64::from(share) / f64::from(*SHARES.end());
    let costs = SHARES.rev().map(|candidate| (candidate, cost(share(candidate))));
    costs.min_by(|one, two| one.1.total_cmp(&two.1)).map_or(end, |(best, _)| share(best))
}

/// The values that integers stand for.
#[derive(Clone, Copy)]
struct Grid {
    low: f64,
    high: f64,
    step: f64,
}

impl Grid {
    fn of(low: f64, high: f64, levels: u32) -> Self {
        Self { low, high, step: (high - low) / f64::from(levels - 1) }
    }

    fn level(&self, value: f64) -> i64 {
        if self.step > 0.0 { ((value.clamp(self.low, self.high) - self.low) / self.step).round() as i64 } else { 0 }
    }
}

fn squared_error(points: &[(f64, f64)], grid: Grid) -> f64 {
    let error = |value: f64| value - (grid.low + grid.level(value) as f64 * grid.step);
    points.iter().map(|(value, count)| count * error(*value).powi(2)).sum()
}

/// Returns the Kullback-Leibler divergence of the rounded distribution from the clipped one, as TensorRT defines it: what is clipped counts
/// for the outermost bins of the one, but not of the other.
fn divergence(points: &[(f64, f64)], grid: Grid) -> f64 {
    let is_inside = |value: f64| value >= grid.low && value <= grid.high;
    let mut clipped: Vec<f64> = Vec::new();
    let mut levels: Vec<i64> = Vec::new();
    let (mut below, mut above) = (0.0, 0.0);
    for (value, count) in points {
        if is_inside(*value) {
            clipped.push(*count);
            levels.push(grid.level(*value));
        } else if *value < grid.low {
            below += count;
        } else {
            above += count;
        }
    }
    if clipped.is_empty() {
        return f64::INFINITY;
    }
    // Each level spreads its values evenly over its bins.
    let rounded: Vec<f64> = runs(&levels)
        .flat_map(|run| {
            let mean = clipped[run.clone()].iter().sum::<f64>() / run.len() as f64;
            run.map(move |_| mean)
        })
        .collect();
    if let Some(first) = clipped.first_mut() {
        *first += below;
    }
    if let Some(last) = clipped.last_mut() {
        *last += above;
    }
    let (total, rounded_total) = (clipped.iter().sum::<f64>(), rounded.iter().sum::<f64>());
    let terms = clipped.iter().zip(&rounded).map(|(clipped, rounded)| {
        let (p, q) = (clipped / total, rounded / rounded_total);
        p * (p / q).ln()
    });
    terms.sum()
}

/// Returns the ranges of equal neighbours.
fn runs(levels: &[i64]) -> impl Iterator<Item = std::ops::Range<usize>> {
    levels.chunk_by(|one, next| one == next).scan(0, |start, run| {
        let range = *start..*start + run.len();
        *start = range.end;
        Some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(low: f64, high: f64, counts: &[f64]) -> Histogram {
        Histogram { low, high, counts: counts.to_vec() }
    }

    /// `total` values from -1 to 1, as a triangle, and one value of `outlier`.
    fn with_outlier(outlier: f64, total: f64) -> Histogram {
        let mut counts = vec![0.0; 2048];
        let of_triangle = (2.0 / (outlier + 1.0) * 2048.0) as usize;
        let half = of_triangle as f64 / 2.0;
        for (bin, count) in counts.iter_mut().enumerate().take(of_triangle) {
            *count = (half - (bin as f64 - half).abs()) * total / (half * half);
        }
        counts[2047] = 1.0;
        histogram(-1.0, outlier, &counts)
    }

    #[test]
    fn min_max_covers_everything_and_zero() {
        let range = |low, high, integers| Calibration::MinMax.range(&histogram(low, high, &[1.0, 1.0]), integers);
        assert_eq!(range(-1.0, 3.0, Integers::Unsigned), (-1.0, 3.0));
        assert_eq!(range(1.0, 3.0, Integers::Unsigned), (0.0, 3.0));
        assert_eq!(range(-3.0, -1.0, Integers::Unsigned), (-3.0, 0.0));
        assert_eq!(range(-1.0, 3.0, Integers::Signed), (-3.0, 3.0));
        assert_eq!(range(-4.0, 3.0, Integers::Signed), (-4.0, 4.0));
    }

    #[test]
    fn a_percentile_leaves_out_the_same_number_at_both_ends() {
        let counts: Vec<f64> = vec![1.0; 100];
        let range = |percentile: f64| {
            Calibration::Percentile(percentile).range(&histogram(-50.0, 50.0, &counts), Integers::Unsigned)
        };
        assert_eq!(range(90.0), (-45.0, 45.0));
        assert_eq!(range(100.0), (-50.0, 50.0));
        // Nothing is left of the middle: everything is covered.
        assert_eq!(range(0.0), (-50.0, 50.0));
        let (low, high) = Calibration::Percentile(99.99).range(&with_outlier(10.0, 346e3), Integers::Unsigned);
        assert!((-1.0..-0.9).contains(&low) && (0.9..1.1).contains(&high), "{low} {high}");
    }

    #[test]
    fn an_outlier_is_clipped_where_that_costs_less() {
        for calibration in [Calibration::Mse, Calibration::Entropy] {
            // One value of 100 among 346,000 between -1 and 1: that all of them have a step of 0.4 costs more than to clip it.
            let (low, high) = calibration.range(&with_outlier(100.0, 346e3), Integers::Unsigned);
            assert!(high < 90.0 && (-1.0..-0.5).contains(&low), "{calibration:?}: {low} {high}");
            let (low, high) = calibration.range(&with_outlier(100.0, 346e3), Integers::Signed);
            assert!(high < 90.0 && (low + high).abs() < 1e-12, "{calibration:?}: {low} {high}");
        }
        // A step of 0.012 instead of 0.008 costs 3,460 values less than one that is off by 1.
        let (_, high) = Calibration::Mse.range(&with_outlier(2.0, 3460.0), Integers::Unsigned);
        assert!(high > 1.9, "{high}");
    }

    #[test]
    fn zeros_do_not_narrow_the_range_of_entropy() {
        // Half of the values are 0, as after a ReLU; the others fall evenly from 0 to 4.
        let mut counts: Vec<f64> = (0..2048).map(|bin| f64::from(2048 - bin)).collect();
        counts[0] = 2048.0 * 1024.0;
        let (low, high) = Calibration::Entropy.range(&histogram(0.0, 4.0, &counts), Integers::Unsigned);
        assert!(low == 0.0 && high > 3.5, "{low} {high}");
    }

    #[test]
    fn values_that_are_all_equal_have_a_range() {
        for calibration in [Calibration::MinMax, Calibration::Percentile(99.0), Calibration::Entropy, Calibration::Mse]
        {
            for integers in [Integers::Unsigned, Integers::Signed] {
                let (_, high) = calibration.range(&histogram(2.0, 2.0, &[5.0]), integers);
                assert!(high > 0.0 && high.is_finite(), "{calibration:?}: {high}");
                let (low, high) = calibration.range(&histogram(0.0, 0.0, &[5.0]), integers);
                assert_eq!((low.abs(), high), (0.0, 0.0), "{calibration:?}");
            }
        }
    }
}
