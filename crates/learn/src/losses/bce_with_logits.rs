//! Binary cross-entropy of the logistic function, as MMAction2's `BCELossWithLogits`: the mean over clips and classes of
//! `-weight * (y ln p + (1 - y) ln(1 - p))`, with `p` the logistic function of the logit and `y` the share of the class in the clip.

use super::{Criterion, Divisor, Targets, divisor_of, per_class, torch_reduction};
use pipe_schemas::losses::BceLossWithLogits;
use tch::{TchError, Tensor};

impl Criterion for BceLossWithLogits {
    fn loss(&self, logits: &Tensor, targets: &Targets<'_>) -> Result<Tensor, TchError> {
        let weight = self.class_weight.as_ref().map(|weights| per_class(weights, logits)).transpose()?;
        let (shares, reduction) = (targets.smoothed(logits)?, torch_reduction(self.reduction));
        logits.f_binary_cross_entropy_with_logits(&shares, weight.as_ref(), None::<&Tensor>, reduction)
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
    fn each_class_is_a_question_of_its_own() {
        let logits = [2.0, -1.0, 0.0, 0.0, 1.0, 3.0];
        let labels = Labels::Shares(Tensor::from_slice(&[1.0, 1.0, 0.0, 0.0, 0.5, 0.0]).view([2, 3]));
        // ln(1 + e^-2), ln(1 + e), ln 2; ln 2, half of ln(1 + e^-1) and ln(1 + e), ln(1 + e^3).
        let cost = |logit: f64| logit.exp().ln_1p();
        let half = f64::midpoint(cost(-1.0), cost(1.0));
        let costs = [cost(-2.0), cost(1.0), cost(0.0), cost(0.0), half, cost(3.0)];
        let loss = |class_weight| Loss::BCELossWithLogits(BceLossWithLogits { class_weight, ..Default::default() });
        check(&loss(None), 0.0, logits, &labels, costs.iter().sum::<f64>() / 6.0);
        let weighted = costs[0] + 2.0 * costs[1] + costs[3] + 2.0 * costs[4];
        check(&loss(Some(vec![1.0, 2.0, 0.0])), 0.0, logits, &labels, weighted / 6.0);
        // Every share moves by a tenth towards 1/3: those of the first clip are 0.9 + 0.1 / 3 twice, and 0.1 / 3.
        let smoothed = |share: f64, logit: f64| share * cost(-logit) + (1.0 - share) * cost(logit);
        let shares = [1.0, 1.0, 0.0, 0.0, 0.5, 0.0].map(|share| 0.9 * share + 0.1 / 3.0);
        let sum: f64 = shares.iter().zip(logits).map(|(share, logit)| smoothed(*share, logit)).sum();
        check(&loss(None), 0.1, logits, &labels, sum / 6.0);
    }
}
