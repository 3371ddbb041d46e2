//! Cross-entropy of the softmax: the mean over the clips of `-ln softmax(logits)[label]`, as MMAction2's `CrossEntropyLoss`.

use super::Criterion;
use pipe_clips::Batch;
use pipe_schemas::losses::CrossEntropyLoss;
use tch::{Kind, Reduction, TchError, Tensor};

/// A target that PyTorch leaves out. No label is negative.
const IGNORE_INDEX: i64 = -100;

impl Criterion for CrossEntropyLoss {
    fn loss(&self, logits: &Tensor, batch: &Batch) -> Result<Tensor, TchError> {
        let labels = Tensor::from_slice(&batch.class_indices);
        if batch.mix_shares.iter().all(|share| *share == 0.0) {
            return logits.f_cross_entropy_loss(&labels, None::<Tensor>, Reduction::Mean, IGNORE_INDEX, 0.0);
        }
        blended(logits, &labels, batch)
    }
}

/// Returns the mean loss of blended clips: the label of each is shared with that of the clip it is blended with.
fn blended(logits: &Tensor, labels: &Tensor, batch: &Batch) -> Result<Tensor, TchError> {
    let log_probabilities = logits.f_log_softmax(1, Kind::Float)?;
    let of = |labels: &Tensor| log_probabilities.f_gather(1, &labels.f_unsqueeze(1)?, false)?.f_squeeze_dim(1);
    let (own, other) = (of(labels)?, of(&Tensor::from_slice(&batch.mix_class_indices))?);
    let share = Tensor::from_slice(&batch.mix_shares);
    own.f_lerp_tensor(&other, &share)?.f_mean(Kind::Float)?.f_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(batch: &Batch, expect: f64) {
        let logits = Tensor::from_slice(&[2.0f32, 1.0, 0.0, 0.0, 0.0, 3.0]).view([2, 3]);
        let found = CrossEntropyLoss {}.loss(&logits, batch).expect("a loss").double_value(&[]);
        assert!((found - expect).abs() < 1e-5, "{found}, not {expect}");
    }

    #[test]
    fn blended_labels_are_shared() {
        // -ln softmax of the first clip is 0.40761 for class 0 and 1.40761 for class 1; of the other clip 0.09492 for class 2.
        let plain = Batch { class_indices: vec![0, 2], ..Batch::default() };
        check(&plain, 0.5 * (0.40761 + 0.09492));
        let blended = Batch { mix_class_indices: vec![1, 2], mix_shares: vec![0.25, 0.0], ..plain };
        check(&blended, (0.40761 + 0.25 + 0.09492) / 2.0);
    }
}
