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
        Some(step) if op.ratio > 0.0 => x.f_mul(&mask(&x.size(), op.ratio, call, step)?),
        Some(_) | None => Ok(x.shallow_clone()),
    }
}

/// Returns 0 with a probability of `ratio`, else `1 / (1 - ratio)`, for the clips of a piece; the first axis has as many values for each
/// clip. Clips before the piece take their draws too. The draws are our own because the generator of libtorch is
/// global and its draws depend on the version.
pub(super) fn mask(size: &[i64], ratio: f64, call: &Call<'_>, training: TrainingStep) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(&values(size, ratio, &call.node.name, training))?.f_view(size)?.f_to_device(call.device)
}

fn values(size: &[i64], ratio: f64, node: &str, training: TrainingStep) -> Vec<f32> {
    let TrainingStep { seed, epoch, step, piece } = training;
    let mut draws = Draws::new(seed, &["dropout", node, &epoch.to_string(), &step.to_string()]);
    let kept = (1.0 / (1.0 - ratio)) as f32;
    let len: i64 = size.iter().product();
    let before = piece.first * (len as usize / piece.len.max(1));
    for _ in 0..before {
        draws.bits();
    }
    (0..len).map(|_| if draws.unit() < ratio { 0.0 } else { kept }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Piece;

    #[test]
    fn the_mask_has_mean_1_and_changes_with_the_step() {
        let of = |step, piece: Piece| {
            let size = [piece.len as i64 * 2, 100];
            values(&size, 0.4, "dropout", TrainingStep { seed: 0, epoch: 0, step, piece })
        };
        let at = |step| of(step, Piece::whole(50));
        let mean = at(0).iter().map(|value| f64::from(*value)).sum::<f64>() / at(0).len() as f64;
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert_eq!(at(0), at(0));
        assert_ne!(at(0), at(1));
        // The pieces of several processes have the masks of the whole.
        let pieces = [0, 1, 2].map(|rank| of(0, Piece::of(50, rank, 3, 1)));
        assert_eq!(pieces.concat(), at(0));
    }
}
