//! Mean squared error, as `torch.nn.MSELoss`: the mean over clips and classes of `(logit - share)^2`.

use super::{Criterion, Divisor, Targets, divisor_of, torch_reduction};
use pipe_schemas::losses::MseLoss;
use tch::{TchError, Tensor};

impl Criterion for MseLoss {
    fn loss(&self, logits: &Tensor, targets: &Targets<'_>) -> Result<Tensor, TchError> {
        logits.f_mse_loss(&targets.smoothed(logits)?, torch_reduction(self.reduction))
    }

    fn divisor(&self, _: &Tensor, _: &Targets<'_>) -> Result<Divisor, TchError> {
        Ok(divisor_of(self.reduction))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Labels;
    use super::super::tests::check;
    use super::*;
    use pipe_schemas::losses::{Loss, Reduction};

    #[test]
    fn logits_are_compared_with_shares() {
        let labels = Labels::Shares(Tensor::from_slice(&[1.0, 0.5, 0.0, 0.0, 0.0, 1.0]).view([2, 3]));
        let loss = |reduction| Loss::MSELoss(MseLoss { reduction, ..MseLoss::default() });
        let logits = [3.0, 0.0, 0.0, 0.0, 1.0, 1.0];
        check(&loss(Reduction::Sum), 0.0, logits, &labels, 4.0 + 0.25 + 1.0);
        check(&loss(Reduction::Mean), 0.0, logits, &labels, 5.25 / 6.0);
    }
}
