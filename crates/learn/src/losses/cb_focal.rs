//! Class-balanced focal loss (Cui et al. 2019), as MMAction2's `CBFocalLoss`: the binary cross-entropy of each class times
//! `(1 - p_t)^gamma` and the weight of the clip's class; the sum over the classes, and the mean over the clips.

use super::{Criterion, Divisor, Targets, per_class};
use pipe_schemas::losses::CbFocalLoss;
use tch::{Reduction, TchError, Tensor};

impl Criterion for CbFocalLoss {
    fn loss(&self, logits: &Tensor, targets: &Targets<'_>) -> Result<Tensor, TchError> {
        let (shares, kind) = (targets.smoothed(logits)?, logits.kind());
        let weights = shares.f_matmul(&per_class(&self.class_weights(), logits)?)?; // [N]
        let costs =
            logits.f_binary_cross_entropy_with_logits(&shares, None::<&Tensor>, None::<&Tensor>, Reduction::None)?;
        // (1 - p_t)^gamma = exp(-gamma * (share * logit + ln(1 + exp(-logit))))
        let exponent = shares.f_mul(logits)?.f_sub(&logits.f_log_sigmoid()?)?;
        let losses = costs.f_mul(&exponent.f_mul_scalar(-self.gamma)?.f_exp()?)?;
        losses.f_mul(&weights.f_unsqueeze(1)?)?.f_sum(kind)?.f_div(&shares.f_sum(kind)?)
    }

    fn divisor(&self, _: &Tensor, _: &Targets<'_>) -> Result<Divisor, TchError> {
        Ok(Divisor::Clips)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Labels;
    use super::super::tests::check;
    use super::*;
    use pipe_schemas::losses::Loss;

    #[test]
    fn clips_of_rare_classes_count_more() {
        let logits = [2.0, -1.0, 0.0, 0.0, 1.0, 3.0];
        let params = CbFocalLoss { samples_per_cls: vec![1, 3, 2], beta: 0.5, gamma: 2.0, loss_weight: 1.0 };
        // 1, 0.5 / 0.875 and 0.5 / 0.75, over their mean.
        let mean = (1.0 + 0.5 / 0.875 + 0.5 / 0.75) / 3.0;
        let weights = [1.0 / mean, 0.5 / 0.875 / mean, 0.5 / 0.75 / mean];
        let cost = |logit: f64| {
            let right = 1.0 / (1.0 + (-logit).exp());
            -(1.0 - right).powi(2) * right.ln()
        };
        let first = weights[0] * (cost(2.0) + cost(1.0) + cost(0.0));
        let second = weights[2] * (cost(0.0) + cost(-1.0) + cost(3.0));
        let labels = Labels::Classes(Tensor::from_slice(&[0_i64, 2]));
        check(&Loss::CBFocalLoss(params), 0.0, logits, &labels, f64::midpoint(first, second));
    }
}
