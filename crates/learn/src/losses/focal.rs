//! Focal loss of the logistic function (Lin et al. 2017), as torchvision's `sigmoid_focal_loss`: the binary cross-entropy of each class
//! times `(1 - p_t)^gamma`, where `p_t` is the probability that is given to the right answer.

use super::{Criterion, Divisor, Targets, divisor_of, reduce};
use pipe_schemas::losses::FocalLoss;
use tch::{Reduction, TchError, Tensor};

impl Criterion for FocalLoss {
    fn loss(&self, logits: &Tensor, targets: &Targets<'_>) -> Result<Tensor, TchError> {
        let shares = targets.smoothed(logits)?;
        let costs =
            logits.f_binary_cross_entropy_with_logits(&shares, None::<&Tensor>, None::<&Tensor>, Reduction::None)?;
        // 1 - p_t, without the difference of two numbers close to 1: p where the share is 0, and 1 - p where it is 1.
        let missed = logits.f_sigmoid()?.f_lerp_tensor(&logits.f_neg()?.f_sigmoid()?, &shares)?;
        let mut losses = costs.f_mul(&missed.f_pow_tensor_scalar(self.gamma)?)?;
        if self.alpha >= 0.0 {
            // alpha * share + (1 - alpha) * (1 - share)
            let balance = shares.f_mul_scalar(2.0 * self.alpha - 1.0)?.f_add_scalar(1.0 - self.alpha)?;
            losses = losses.f_mul(&balance)?;
        }
        reduce(&losses, self.reduction)
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
    use pipe_schemas::losses::Loss;

    #[test]
    fn classes_that_are_predicted_well_count_less() {
        let logits = [2.0, -1.0, 0.0, 0.0, 1.0, 3.0];
        let labels = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0];
        let cost = |label: f64, logit: f64, gamma: f64, alpha: f64| {
            let right = 1.0 / (1.0 + (if label > 0.0 { -logit } else { logit }).exp());
            let weight = if alpha < 0.0 { 1.0 } else { alpha * label + (1.0 - alpha) * (1.0 - label) };
            -weight * (1.0 - right).powf(gamma) * right.ln()
        };
        for (gamma, alpha) in [(2.0, 0.25), (0.5, -1.0), (0.0, 0.75)] {
            let sum: f64 = labels.iter().zip(logits).map(|(label, logit)| cost(*label, logit, gamma, alpha)).sum();
            let loss = Loss::FocalLoss(FocalLoss { gamma, alpha, ..FocalLoss::default() });
            check(&loss, 0.0, logits, &Labels::Shares(Tensor::from_slice(&labels).view([2, 3])), sum / 6.0);
        }
    }
}
