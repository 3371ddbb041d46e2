//! Temperature scaling (Guo et al. 2017): the number by which logits are divided so that the cross-entropy is the lowest. It changes
//! confidences, and no prediction.
//!
//! The cross-entropy is convex in the inverse of the temperature, so its minimum is where the slope is zero: Newton's method, with bisection
//! where a step leaves the interval.

/// The lowest and the highest temperature.
pub const TEMPERATURES: [f64; 2] = [0.02, 50.0];

const MAX_STEPS: usize = 200;

/// Returns the temperature from 0.02 to 50 with the lowest mean cross-entropy; a limit if it falls up to there. It is 1 if there are no videos.
///
/// # Shapes
/// - `logits`: `[N, K]`; `labels`: `[N]`, below `K`
pub fn fit_temperature(logits: &[Vec<f64>], labels: &[u32]) -> f64 {
    if logits.is_empty() {
        return 1.0;
    }
    let [lowest, highest] = TEMPERATURES;
    let (mut low, mut high) = (1.0 / highest, 1.0 / lowest);
    if slope(logits, labels, low).0 >= 0.0 {
        return highest;
    }
    if slope(logits, labels, high).0 <= 0.0 {
        return lowest;
    }
    let mut inverse = 1.0_f64;
    for _ in 0..MAX_STEPS {
        let (first, second) = slope(logits, labels, inverse);
        *(if first < 0.0 { &mut low } else { &mut high }) = inverse;
        let newton = inverse - first / second;
        let next = if newton > low && newton < high { newton } else { f64::midpoint(low, high) };
        if (next - inverse).abs() <= 1e-14 * inverse {
            break;
        }
        inverse = next;
    }
    1.0 / inverse
}

/// Returns the first and the second derivative of the mean cross-entropy of `softmax(inverse * logits)` by `inverse`: the mean logit under
/// the softmax less that of the label, and the variance of the logits under the softmax; as means over videos.
fn slope(logits: &[Vec<f64>], labels: &[u32], inverse: f64) -> (f64, f64) {
    let (mut first, mut second) = (0.0, 0.0);
    for (row, label) in logits.iter().zip(labels) {
        let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut sum_of_logits, mut sum_of_squares) = (0.0, 0.0, 0.0);
        for logit in row {
            let below = logit - highest;
            let weight = (inverse * below).exp();
            sum += weight;
            sum_of_logits += weight * below;
            sum_of_squares += weight * below * below;
        }
        let mean = sum_of_logits / sum;
        first += mean - (row.get(*label as usize).copied().unwrap_or(highest) - highest);
        second += (sum_of_squares / sum - mean * mean).max(0.0);
    }
    let count = logits.len() as f64;
    (first / count, second / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::negative_log_likelihood;

    /// Two classes, a quarter of the videos wrong with a margin of 2: the softmax should give 3/4, so the margin ln 3.
    #[test]
    fn the_temperature_makes_confidences_true() {
        let logits = vec![vec![2.0, 0.0]; 4];
        let found = fit_temperature(&logits, &[0, 0, 0, 1]);
        assert!((found - 2.0 / 3f64.ln()).abs() < 1e-12, "{found}");
    }

    #[test]
    fn no_neighbour_has_a_lower_cross_entropy() {
        let logits: Vec<Vec<f64>> =
            (0..50).map(|row| (0..4).map(|class| f64::from((row * 7 + class * 13) % 11) - 5.0).collect()).collect();
        // Two of three predictions are correct.
        let label = |(row, logits): (usize, &Vec<f64>)| {
            if row % 3 == 0 { row as u32 % 4 } else { crate::argmax(logits) as u32 }
        };
        let labels: Vec<u32> = logits.iter().enumerate().map(label).collect();
        let found = fit_temperature(&logits, &labels);
        let at = |temperature| negative_log_likelihood(&logits, &labels, temperature);
        assert!((0.1..20.0).contains(&found), "{found}");
        assert!(at(found) <= at(found * 1.001) && at(found) <= at(found * 0.999), "{found}");
    }

    #[test]
    fn a_limit_is_returned_if_the_cross_entropy_falls_up_to_there() {
        assert_eq!(fit_temperature(&[vec![1.0, 0.0]], &[0]).to_bits(), 0.02_f64.to_bits());
        assert_eq!(fit_temperature(&[vec![1.0, 0.0]], &[1]).to_bits(), 50.0_f64.to_bits());
        assert_eq!(fit_temperature(&[vec![1.0, 1.0]], &[1]).to_bits(), 50.0_f64.to_bits());
        assert_eq!(fit_temperature(&[], &[]).to_bits(), 1.0_f64.to_bits());
    }
}
