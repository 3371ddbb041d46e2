//! [`fuse`]: late fusion, the weighted sum of the scores of several networks: MMAction2's `get_weighted_score`. Coefficients are not
//! normalised.

/// Returns the sum over networks of coefficient times scores.
///
/// # Shapes
/// - `scores`: one `[N, K]` for each of the `coefficients`
/// - returns: `[N, K]`, or `None` if the numbers or sizes differ
pub fn fuse(scores: &[&[Vec<f64>]], coefficients: &[f64]) -> Option<Vec<Vec<f64>>> {
    let first = *scores.first()?;
    let fits = |other: &&[Vec<f64>]| {
        other.len() == first.len() && other.iter().zip(first).all(|(one, two)| one.len() == two.len())
    };
    if scores.len() != coefficients.len() || !scores.iter().all(fits) {
        return None;
    }
    let sum = |row: usize, class: usize| -> f64 {
        scores.iter().zip(coefficients).map(|(scores, coefficient)| coefficient * scores[row][class]).sum()
    };
    Some((0..first.len()).map(|row| (0..first[row].len()).map(|class| sum(row, class)).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_multiplied_and_summed() {
        let (one, two) = ([vec![1.0, 2.0], vec![0.0, 1.0]], [vec![4.0, 0.0], vec![2.0, 2.0]]);
        assert_eq!(fuse(&[&one, &two], &[1.0, 0.5]), Some(vec![vec![3.0, 2.0], vec![1.0, 2.0]]));
    }

    #[test]
    fn other_sizes_are_refused() {
        let one = [vec![1.0, 2.0]];
        assert_eq!(fuse(&[&one], &[1.0, 1.0]), None);
        assert_eq!(fuse(&[&one, &[]], &[1.0, 1.0]), None);
        assert_eq!(fuse(&[&one, &[vec![1.0]]], &[1.0, 1.0]), None);
        assert_eq!(fuse(&[], &[]), None);
    }
}
