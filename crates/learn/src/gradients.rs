//! [`Gradients`]: sums of gradients over the batches that make one step of the optimiser.

use crate::convert::copy_of;
use std::collections::BTreeSet;
use tch::{TchError, Tensor};

/// The batches that make one step of the optimiser together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccumulatedBatches {
    /// Their number. The loss of each is divided by it.
    pub len: usize,
    /// Whether the batch is the last of them, so that the step follows.
    pub is_complete: bool,
}

impl AccumulatedBatches {
    /// Returns the batches that a batch belongs to; it is counted from 0. There are `count` of them, or fewer at the end of the
    /// `num_batches` of an epoch.
    pub fn of(batch: usize, num_batches: usize, count: usize) -> Self {
        let start = batch - batch % count.max(1);
        let len = count.min(num_batches.saturating_sub(start)).max(1);
        Self { len, is_complete: batch + 1 >= start + len }
    }
}

/// The gradients of weights, summed over batches.
#[derive(Debug, Default)]
pub struct Gradients {
    /// By weight; empty before the first batch of a step. Those of weights that the loss does not depend on are undefined.
    sums: Vec<Tensor>,
}

impl Gradients {
    /// Adds the gradients of the loss of a batch with respect to `weights`.
    pub fn add(&mut self, loss: &Tensor, batches: AccumulatedBatches, weights: &[Tensor]) -> Result<(), TchError> {
        let share = if batches.len > 1 { loss.f_div_scalar(batches.len as f64)? } else { loss.shallow_clone() };
        let gradients = own_memory(Tensor::f_run_backward(&[share], weights, false, false)?)?;
        if self.sums.is_empty() {
            self.sums = gradients;
            return Ok(());
        }
        let _no_grad = tch::no_grad_guard();
        for (sum, gradient) in self.sums.iter_mut().zip(gradients) {
            if !sum.defined() {
                *sum = gradient;
            } else if gradient.defined() {
                let _ = sum.f_add_(&gradient)?;
            }
        }
        Ok(())
    }

    /// Takes the sums, by weight. They are undefined for weights that no loss depends on. No two share memory.
    pub fn take(&mut self) -> Vec<Tensor> {
        std::mem::take(&mut self.sums)
    }
}

/// Copies gradients that share memory with another one, or whose values share memory, such as that of a sum. The others may then be
/// changed in place.
fn own_memory(gradients: Vec<Tensor>) -> Result<Vec<Tensor>, TchError> {
    let mut taken = BTreeSet::new();
    let own = |gradient: Tensor| {
        if !gradient.defined() {
            return Ok(gradient);
        }
        let repeats = gradient.size().into_iter().zip(gradient.stride()).any(|(size, stride)| size > 1 && stride == 0);
        if !taken.insert(gradient.data_ptr() as usize) || repeats { copy_of(&gradient) } else { Ok(gradient) }
    };
    gradients.into_iter().map(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn the_last_batches_of_an_epoch_may_be_fewer() {
        let found: Vec<(usize, bool)> = (0..5)
            .map(|batch| AccumulatedBatches::of(batch, 5, 2))
            .map(|AccumulatedBatches { len, is_complete }| (len, is_complete))
            .collect();
        assert_eq!(found, [(2, false), (2, true), (2, false), (2, true), (1, true)]);
        assert_eq!(AccumulatedBatches::of(3, 9, 1), AccumulatedBatches { len: 1, is_complete: true });
    }

    #[test]
    fn gradients_are_summed_in_memory_of_their_own() {
        let weight = |value: f64| Tensor::from_slice(&[value, value]).set_requires_grad(true);
        let weights = [weight(1.0), weight(2.0), weight(3.0)];
        let mut gradients = Gradients::default();
        for _ in 0..2 {
            // The gradient of both is the same tensor, of one value that is repeated.
            let loss = (&weights[0] + &weights[1]).sum(Kind::Double);
            gradients.add(&loss, AccumulatedBatches { len: 1, is_complete: true }, &weights).expect("gradients");
        }
        let mut taken = gradients.take();
        let _ = taken[0].g_mul_scalar_(10.0);
        assert_eq!(Vec::<f64>::try_from(&taken[0]).expect("values"), [20.0, 20.0]);
        assert_eq!(Vec::<f64>::try_from(&taken[1]).expect("values"), [2.0, 2.0]);
        assert!(!taken[2].defined());
        assert!(gradients.take().is_empty());
    }
}
