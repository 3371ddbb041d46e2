//! [`Objective`]: what training minimises. [`Targets`]: what the network should predict.
//!
//! To add a loss, write `losses/NAME.rs` with `impl Criterion for` its parameters in `pipe_schemas::losses`, and add it to
//! [`criterion`].

mod bce_with_logits;
mod cb_focal;
mod cross_entropy;
mod focal;
mod mse;
mod targets;

pub use targets::Labels;

use pipe_schemas::losses::{Loss, Reduction};
use pipe_schemas::networks::ClsHead;
use targets::Targets;
use tch::{Kind, TchError, Tensor};

/// What training minimises.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The loss and its parameters.
    pub loss: Loss,
    /// The share of each label that is spread evenly over all classes, as `label_smooth_eps` of MMAction2's heads.
    pub label_smooth_eps: f64,
}

impl Objective {
    /// Returns what training with `loss` and the other parameters of a head minimises.
    pub fn new(loss: Loss, head: &ClsHead) -> Self {
        Self { loss, label_smooth_eps: head.label_smooth_eps }
    }

    /// Returns the loss of a batch, a scalar. It is computed in 32 bits if the logits have 16.
    ///
    /// # Shapes
    /// - `logits`: `[N, K]`
    pub fn loss(&self, logits: &Tensor, labels: &Labels) -> Result<Tensor, TchError> {
        let is_low = matches!(logits.kind(), Kind::Half | Kind::BFloat16);
        let logits = if is_low { logits.f_to_kind(Kind::Float)? } else { logits.shallow_clone() };
        let targets = Targets { labels, label_smooth_eps: self.label_smooth_eps };
        let loss = criterion(&self.loss).loss(&logits, &targets)?;
        let weight = self.loss.loss_weight();
        if (weight - 1.0).abs() > 0.0 { loss.f_mul_scalar(weight) } else { Ok(loss) }
    }

    /// Returns what the loss of a batch is divided by.
    pub(crate) fn divisor(&self, logits: &Tensor, labels: &Labels) -> Result<Divisor, TchError> {
        let targets = Targets { labels, label_smooth_eps: self.label_smooth_eps };
        criterion(&self.loss).divisor(&logits.detach().f_to_kind(Kind::Float)?, &targets)
    }
}

/// What the loss of a batch is divided by. Losses times divisors of the parts of a batch add up to that of the whole.
#[derive(Debug)]
pub(crate) enum Divisor {
    /// Nothing: the loss is a sum.
    One,
    /// The number of clips, or a multiple of it.
    Clips,
    /// The sum of weights, a scalar.
    Weights(Tensor),
}

/// Returns the divisor of a reduction over clips that weigh equally.
fn divisor_of(reduction: Reduction) -> Divisor {
    match reduction {
        Reduction::Mean => Divisor::Clips,
        Reduction::Sum => Divisor::One,
    }
}

/// A loss.
trait Criterion {
    /// Returns the loss of a batch before `loss_weight`, a scalar.
    ///
    /// # Shapes
    /// - `logits`: `[N, K]`
    fn loss(&self, logits: &Tensor, targets: &Targets<'_>) -> Result<Tensor, TchError>;

    /// Returns what the loss of the batch is divided by.
    fn divisor(&self, logits: &Tensor, targets: &Targets<'_>) -> Result<Divisor, TchError>;
}

/// Returns the implementation of a loss.
fn criterion(loss: &Loss) -> &dyn Criterion {
    match loss {
        Loss::CrossEntropyLoss(params) => params,
        Loss::BCELossWithLogits(params) => params,
        Loss::CBFocalLoss(params) => params,
        Loss::FocalLoss(params) => params,
        Loss::MSELoss(params) => params,
    }
}

/// Returns values per class as a row of the logits' kind and device.
fn per_class(values: &[f64], logits: &Tensor) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(values)?.f_to_kind(logits.kind())?.f_to_device(logits.device())
}

/// Returns libtorch's name of a reduction.
fn torch_reduction(reduction: Reduction) -> tch::Reduction {
    match reduction {
        Reduction::Mean => tch::Reduction::Mean,
        Reduction::Sum => tch::Reduction::Sum,
    }
}

/// Returns the mean or the sum of all elements.
fn reduce(losses: &Tensor, reduction: Reduction) -> Result<Tensor, TchError> {
    match reduction {
        Reduction::Mean => losses.f_mean(losses.kind()),
        Reduction::Sum => losses.f_sum(losses.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::losses::MseLoss;

    /// Compares with a loss by hand, of logits `[2, 3]`.
    #[track_caller]
    pub(super) fn check(loss: &Loss, label_smooth_eps: f64, logits: [f64; 6], labels: &Labels, expect: f64) {
        let objective = Objective { loss: loss.clone(), label_smooth_eps };
        for (kind, limit) in [(Kind::Double, 1e-12), (Kind::Float, 1e-6)] {
            let logits = Tensor::from_slice(&logits).to_kind(kind).view([2, 3]);
            let found = objective.loss(&logits, labels).expect("a loss");
            assert_eq!(found.kind(), kind);
            let found = found.double_value(&[]);
            assert!((found - expect).abs() <= limit * expect.abs().max(1.0), "{found}, not {expect}, in {kind:?}");
        }
    }

    #[test]
    fn the_loss_has_a_factor_and_is_never_computed_in_16_bits() {
        let labels = Labels::Classes(Tensor::from_slice(&[0_i64, 2]));
        let mse = |loss_weight| Loss::MSELoss(MseLoss { loss_weight, ..MseLoss::default() });
        check(&mse(0.5), 0.0, [1.0, 0.0, 2.0, 0.0, 0.0, 0.0], &labels, 0.5 * 5.0 / 6.0);
        let logits = Tensor::from_slice(&[0.1f32, 0.2, 0.3, 0.4, 0.5, 0.6]).view([2, 3]).to_kind(Kind::BFloat16);
        let loss = Objective { loss: mse(1.0), label_smooth_eps: 0.0 }.loss(&logits, &labels).expect("a loss");
        assert_eq!(loss.kind(), Kind::Float);
    }
}
