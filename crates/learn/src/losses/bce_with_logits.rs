//! Binary cross-entropy of the logistic function, as MMAction2's `BCELossWithLogits`: the mean over clips and classes of
//! `-(y ln p + (1 - y) ln(1 - p))`, with `p` the logistic function of the logit and `y` the share of the class in the clip.

use super::Criterion;
use pipe_clips::Batch;
use pipe_schemas::losses::BceLossWithLogits;
use tch::{Reduction, TchError, Tensor};

impl Criterion for BceLossWithLogits {
    fn loss(&self, logits: &Tensor, batch: &Batch) -> Result<Tensor, TchError> {
        let targets = Tensor::from_slice(&batch.targets).f_view_as(logits)?;
        logits.f_binary_cross_entropy_with_logits(&targets, None::<Tensor>, None::<Tensor>, Reduction::Mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_a_question_of_its_own() {
        let logits = Tensor::from_slice(&[2.0f32, -1.0, 0.0, 0.0, 1.0, 3.0]).view([2, 3]);
        let batch = Batch { targets: vec![1.0, 1.0, 0.0, 0.0, 0.5, 0.0], ..Batch::default() };
        // ln(1 + e^-2), ln(1 + e), ln 2; ln 2, half of ln(1 + e^-1) and ln(1 + e), ln(1 + e^3).
        let cost = |logit: f64| logit.exp().ln_1p();
        let half = f64::midpoint(cost(-1.0), cost(1.0));
        let expect = (cost(-2.0) + cost(1.0) + cost(0.0) + cost(0.0) + half + cost(3.0)) / 6.0;
        let found = BceLossWithLogits {}.loss(&logits, &batch).expect("a loss").double_value(&[]);
        assert!((found - expect).abs() < 1e-5, "{found}, not {expect}");
    }
}
