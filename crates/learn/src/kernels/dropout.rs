//! The kernel of [`Dropout`].

use super::call::{Call, TrainingStep};
use super::precision::Precision;
use pipe_clips::Draws;
use pipe_graph::ops::dropout::Dropout;
use tch::{TchError, Tensor};

/// The factor of the kept values is not exact in 16 bits.
pub(super) const PRECISION: Precision = Precision::Single;

pub(super) fn forward(op: &Dropout, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    match call.training {
        Some(step) if op.ratio > 0.0 => x.f_mul(&mask(&x.size(), op.ratio, &call.node.name, step)?),
        Some(_) | None => Ok(x.shallow_clone()),
    }
}

/// Returns 0 with a probability of `ratio`, else `1 / (1 - ratio)`. The draws are our own because the generator of libtorch is
/// global and its draws depend on the version.
pub(super) fn mask(size: &[i64], ratio: f64, node: &str, training: TrainingStep) -> Result<Tensor, TchError> {
    let TrainingStep { seed, epoch, step } = training;
    let mut draws = Draws::new(seed, &["dropout", node, &epoch.to_string(), &step.to_string()]);
    let kept = (1.0 / (1.0 - ratio)) as f32;
    let len: i64 = size.iter().product();
    let mask: Vec<f32> = (0..len).map(|_| if draws.unit() < ratio { 0.0 } else { kept }).collect();
    Tensor::f_from_slice(&mask)?.f_view(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn the_mask_has_mean_1_and_changes_with_the_step() {
        let at = |step| mask(&[100, 100], 0.4, "dropout", TrainingStep { seed: 0, epoch: 0, step }).expect("a mask");
        let mean = at(0).mean(Kind::Double).double_value(&[]);
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert_eq!(at(0), at(0));
        assert_ne!(at(0), at(1));
    }
}
