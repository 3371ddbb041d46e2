//! Scores by formula, such as `v(scores.d1)*3 reshaped [40,5]; then for each i with u(help.d1)[i] < 0.6 add 0.8*3 to
//! logits[i][labels[i]]`, `floor(u(ties.d)*4)/4, [20,6]`, `v(views.d)*4, [4 videos,3 views,4 classes]` or `u(fuse<j>.d) [3,3], j = 0..1`.

use crate::draws::Draws;
use std::error::Error;

/// The largest number of values of a formula, so that a wrong size is an error and does not fill the memory.
const MAX_VALUES: usize = 10_000_000;

/// Returns the number of values of a shape, `None` if it is above the limit.
pub(crate) fn num_values(shape: &[usize]) -> Option<usize> {
    let product = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))?;
    (product <= MAX_VALUES).then_some(product)
}

/// Returns the tensors of a formula: one, or one for each `j`. Each has the shape `shape`, row by row.
pub(crate) fn values(text: &str, shape: &[usize], labels: &[u32]) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    parse(text, shape, labels).ok_or_else(|| format!("`{text}` is not a formula for the shape {shape:?}").into())
}

fn parse(text: &str, shape: &[usize], labels: &[u32]) -> Option<Vec<Vec<f64>>> {
    let (tensor, addition) = match text.split_once("; then ") {
        Some((tensor, addition)) => (tensor, Some(addition)),
        None => (text, None),
    };
    let (product, rest) = tensor.split_once('[')?;
    let (size, range) = rest.split_once(']')?;
    let product = product.trim().trim_end_matches("reshaped").trim().trim_end_matches(',');
    // `4 videos` is 4.
    let size: Vec<usize> =
        size.split(',').map(|part| part.split_whitespace().next()?.parse().ok()).collect::<Option<_>>()?;
    if size != shape {
        return None;
    }
    let count = num_values(shape)?;
    let mut tensors = Vec::new();
    match range.trim().trim_start_matches(',').trim().strip_prefix("j = ") {
        Some(range) => {
            let (first, last) = range.split_once("..")?;
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            num_values(&[last.saturating_sub(first).checked_add(1)?, count.max(1)])?;
            for j in first..=last {
                tensors.push(evaluate(&product.replace("<j>", &j.to_string()), count)?);
            }
        }
        None if range.trim().is_empty() => tensors.push(evaluate(product, count)?),
        None => return None,
    }
    if let Some(addition) = addition {
        tensors.iter_mut().try_for_each(|tensor| add(addition, tensor, shape, labels))?;
    }
    (!tensors.is_empty()).then_some(tensors)
}

/// Computes `u(NAME)`, `v(NAME)`, either `*FACTOR`, or `floor(PRODUCT)/DIVISOR`.
fn evaluate(product: &str, count: usize) -> Option<Vec<f64>> {
    let product: String = product.chars().filter(|letter| !letter.is_whitespace()).collect();
    if let Some(rest) = product.strip_prefix("floor(") {
        let (inner, divisor) = rest.rsplit_once(")/")?;
        let divisor: f64 = divisor.parse().ok()?;
        return Some(evaluate(inner, count)?.into_iter().map(|value| value.floor() / divisor).collect());
    }
    let (function, rest) = product.split_once('(')?;
    let (name, factor) = rest.split_once(')')?;
    let factor: f64 = if factor.is_empty() { 1.0 } else { factor.strip_prefix('*')?.parse().ok()? };
    let draws = Draws::new(name);
    let value: fn(&Draws, usize) -> f64 = match function {
        "u" => Draws::unit,
        "v" => Draws::signed,
        _ => return None,
    };
    Some((0..count).map(|index| value(&draws, index) * factor).collect())
}

/// Adds to the scores of the labels: `for each i with u(NAME)[i] < SHARE add A*B to logits[i][labels[i]]`.
fn add(text: &str, tensor: &mut [f64], shape: &[usize], labels: &[u32]) -> Option<()> {
    let (name, rest) = text.strip_prefix("for each i with u(")?.split_once(")[i] < ")?;
    let (share, rest) = rest.split_once(" add ")?;
    let amount = rest.strip_suffix("[i][labels[i]]")?.rsplit_once(" to ")?.0;
    let share: f64 = share.trim().parse().ok()?;
    let amount = amount.split('*').map(|factor| factor.trim().parse::<f64>()).product::<Result<f64, _>>().ok()?;
    let (draws, [num_videos, num_classes]) = (Draws::new(name), shape.try_into().ok()?);
    if labels.len() != num_videos {
        return None;
    }
    for (video, label) in labels.iter().enumerate() {
        if draws.unit(video) < share {
            *tensor.get_mut(video * num_classes + *label as usize)? += amount;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_of_every_form_are_computed() {
        let plain = parse("u(a) [2,2]", &[2, 2], &[]).expect("a formula");
        assert_eq!(plain, [(0..4).map(|index| Draws::new("a").unit(index)).collect::<Vec<_>>()]);
        let scaled = parse("v(a) * 3, [2,2]", &[2, 2], &[]).expect("a formula");
        assert!(
            scaled[0].iter().zip(&plain[0]).all(|(scaled, unit)| (scaled - 3.0 * (2.0 * unit - 1.0)).abs() < 1e-12)
        );
        let steps = parse("floor(u(a)*4)/4, [4]", &[4], &[]).expect("a formula");
        assert!(steps[0].iter().zip(&plain[0]).all(|(step, unit)| (step - (unit * 4.0).floor() / 4.0).abs() < 1e-12));
        let several = parse("u(a<j>) [4], j = 0..2", &[4], &[]).expect("a formula");
        assert_eq!((several.len(), &several[1][..1]), (3, &[Draws::new("a1").unit(0)][..]));
        let text = "v(a)*2 reshaped [2,2]; then for each i with u(b)[i] < 2 add 0.5*2 to logits[i][labels[i]]";
        let added = parse(text, &[2, 2], &[1, 0]).expect("a formula");
        let difference: Vec<f64> =
            added[0].iter().zip(&scaled[0]).map(|(added, scaled)| added - scaled / 1.5).collect();
        assert!(difference.iter().zip([0.0, 1.0, 1.0, 0.0]).all(|(found, expect)| (found - expect).abs() < 1e-12));
    }

    #[test]
    fn other_texts_and_shapes_are_refused() {
        for text in ["", "u(a)", "w(a) [4]", "u(a) [5]", "u(a)+1 [4]", "u(a) [4], k = 0..1", "u(a) [4]; then what"] {
            assert_eq!(parse(text, &[4], &[]), None, "{text}");
        }
    }
}
