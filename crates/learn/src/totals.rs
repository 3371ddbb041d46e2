//! [`StepResult`] and [`EpochResult`]: the figures of training.

use pipe_clips::Batch;
use tch::{Kind, TchError, Tensor};

/// The figures of one step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepResult {
    /// Number of the step in its epoch, counted from 0.
    pub step: usize,
    /// Number of clips in the batch.
    pub num_clips: usize,
    /// Learning rate.
    pub lr: f64,
    /// Loss of the batch, before the step.
    pub loss: f64,
    /// Share of the batch's clips that are predicted correctly, before the step.
    pub top1: f64,
    /// Norm of all gradients together, before clipping: the 2-norm, or that of `clip_grad.norm_type`. `None` if the step of the optimiser
    /// comes with a later batch.
    pub grad_norm: Option<f64>,
    /// Seconds spent waiting for the batch.
    pub data_secs: f64,
    /// Seconds spent computing.
    pub compute_secs: f64,
}

/// The figures of an epoch. None of them depends on the clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochResult {
    /// Number of clips that were shown.
    pub num_clips: usize,
    /// Learning rate of the first step.
    pub lr: f64,
    /// Mean loss over the clips, each as it was when its step came.
    pub loss: f64,
    /// Share of clips that were predicted correctly when their step came.
    pub top1: f64,
    /// Mean over the steps of the optimiser of the norm of all gradients together, before clipping.
    pub grad_norm: f64,
}

/// Sums over the steps of an epoch.
#[derive(Debug, Default)]
pub(crate) struct EpochTotals {
    pub(crate) num_steps: usize,
    num_clips: usize,
    loss: f64,
    num_correct: f64,
    grad_norm: f64,
    /// Number of steps of the optimiser.
    num_updates: usize,
}

impl EpochTotals {
    /// Adds a step and returns its figures, without times.
    pub(crate) fn add(
        &mut self,
        num_clips: usize,
        lr: f64,
        loss: f64,
        num_correct: f64,
        grad_norm: Option<f64>,
    ) -> StepResult {
        let step = self.num_steps;
        self.num_steps += 1;
        self.num_clips += num_clips;
        self.loss += loss * num_clips as f64;
        self.num_correct += num_correct;
        self.grad_norm += grad_norm.unwrap_or(0.0);
        self.num_updates += usize::from(grad_norm.is_some());
        let top1 = num_correct / num_clips.max(1) as f64;
        StepResult { step, num_clips, lr, loss, top1, grad_norm, ..StepResult::default() }
    }

    /// Returns the figures of the epoch.
    pub(crate) fn result(&self, learning_rates: &[f64]) -> EpochResult {
        let num_clips = self.num_clips.max(1) as f64;
        EpochResult {
            num_clips: self.num_clips,
            lr: learning_rates.first().copied().unwrap_or(0.0),
            loss: self.loss / num_clips,
            top1: self.num_correct / num_clips,
            grad_norm: self.grad_norm / self.num_updates.max(1) as f64,
        }
    }
}

/// Returns the number of clips, as a tensor without axes, for which the class with the highest logit is a label. With several labels per clip, blended
/// ones count by their share.
pub(crate) fn num_correct(logits: &Tensor, batch: &Batch) -> Result<Tensor, TchError> {
    let highest = logits.f_argmax(1, true)?;
    let correct = if batch.targets.is_empty() {
        highest
            .f_squeeze_dim(1)?
            .f_eq_tensor(&Tensor::from_slice(&batch.class_indices).f_to_device(logits.device())?)?
    } else {
        Tensor::from_slice(&batch.targets)
            .f_to_device(logits.device())?
            .f_view_as(logits)?
            .f_gather(1, &highest, false)?
    };
    correct.f_sum(Kind::Double)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_with_the_highest_logit_is_correct_if_it_is_a_label() {
        let logits = Tensor::from_slice(&[2.0f32, -1.0, 0.0, 0.0, 1.0, 3.0]).view([2, 3]);
        let check = |batch: Batch, expect: f64| {
            let found = num_correct(&logits, &batch).expect("a count").double_value(&[]);
            assert!((found - expect).abs() < 1e-9, "{batch:?}");
        };
        check(Batch { class_indices: vec![0, 1], ..Batch::default() }, 1.0);
        check(Batch { class_indices: vec![0, 2], ..Batch::default() }, 2.0);
        check(Batch { targets: vec![1.0, 1.0, 0.0, 0.0, 0.5, 0.0], ..Batch::default() }, 1.0);
        check(Batch { targets: vec![0.25, 0.0, 0.0, 0.0, 0.0, 0.75], ..Batch::default() }, 1.0);
    }

    #[test]
    fn clips_weigh_equally_whatever_their_batch() {
        let mut totals = EpochTotals::default();
        totals.add(4, 0.1, 1.0, 2.0, None);
        totals.add(0, 0.1, 1.0, 0.0, Some(3.0));
        let last = totals.add(2, 0.2, 4.0, 2.0, Some(5.0));
        assert_eq!((last.step, last.top1), (2, 1.0));
        let expect = EpochResult { num_clips: 6, lr: 0.1, loss: 2.0, top1: 4.0 / 6.0, grad_norm: 4.0 };
        assert_eq!(totals.result(&[0.1, 0.2]), expect);
    }
}
