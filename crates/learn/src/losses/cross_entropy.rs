//! Cross-entropy of the softmax, as MMAction2's `CrossEntropyLoss`: the weighted mean over the clips of
//! `-sum(share * weight * ln softmax(logits))`.

use super::{Criterion, Divisor, Labels, Targets, per_class, torch_reduction};
use pipe_schemas::losses::{CrossEntropyLoss, Reduction, WeightedMean};
use tch::{TchError, Tensor};

/// A target that PyTorch leaves out. No label is negative.
const IGNORE_INDEX: i64 = -100;

impl Criterion for CrossEntropyLoss {
    fn loss(&self, logits: &Tensor, targets: &Targets<'_>) -> Result<Tensor, TchError> {
        let weight = self.class_weight.as_ref().map(|weights| per_class(weights, logits)).transpose()?;
        let eps = targets.label_smooth_eps;
        if let Labels::Classes(labels) = targets.labels {
            // Without smoothing, both normalisations are PyTorch's.
            if eps == 0.0 || self.normalisation == WeightedMean::PyTorch {
                let reduction = torch_reduction(self.reduction);
                return logits.f_cross_entropy_loss(labels, weight, reduction, IGNORE_INDEX, eps);
            }
        }
        let shares = targets.smoothed(logits)?;
        let weighted = weight.as_ref().map_or_else(|| Ok(shares.shallow_clone()), |weight| shares.f_mul(weight))?;
        let kind = logits.kind();
        let sum = weighted.f_mul(&logits.f_log_softmax(1, kind)?)?.f_sum(kind)?.f_neg()?;
        match (self.reduction, self.normalisation, weight) {
            (Reduction::Sum, _, _) => Ok(sum),
            (Reduction::Mean, WeightedMean::MMAction2, Some(_)) => sum.f_div(&weighted.f_sum(kind)?),
            (Reduction::Mean, WeightedMean::PyTorch, Some(_)) | (Reduction::Mean, _, None) => {
                sum.f_div_scalar(logits.size()[0])
            }
        }
    }

    fn divisor(&self, logits: &Tensor, targets: &Targets<'_>) -> Result<Divisor, TchError> {
        let weights = match (self.reduction, &self.class_weight) {
            (Reduction::Sum, _) => return Ok(Divisor::One),
            (Reduction::Mean, None) => return Ok(Divisor::Clips),
            (Reduction::Mean, Some(weights)) => per_class(weights, logits)?,
        };
        let sum = match (self.normalisation, targets.labels) {
            (WeightedMean::PyTorch, Labels::Shares(_)) => return Ok(Divisor::Clips),
            (WeightedMean::PyTorch, Labels::Classes(labels)) => weights.f_index_select(0, labels)?,
            (WeightedMean::MMAction2, _) => targets.smoothed(logits)?.f_mul(&weights)?,
        };
        Ok(Divisor::Weights(sum.f_sum(logits.kind())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Objective;
    use super::super::tests::check;
    use super::*;
    use pipe_schemas::losses::Loss;

    const LOGITS: [f64; 6] = [2.0, 1.0, 0.0, 0.0, 0.0, 3.0];

    fn loss(class_weight: Option<Vec<f64>>, normalisation: WeightedMean) -> Loss {
        Loss::CrossEntropyLoss(CrossEntropyLoss { class_weight, normalisation, ..CrossEntropyLoss::default() })
    }

    /// Returns `-ln softmax` of each logit.
    fn costs() -> [f64; 6] {
        let of = |row: [f64; 3]| {
            let norm = row.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            row.map(|logit| norm - logit)
        };
        let [a, b, c, d, e, f] = LOGITS;
        let (first, second) = (of([a, b, c]), of([d, e, f]));
        [first[0], first[1], first[2], second[0], second[1], second[2]]
    }

    fn classes() -> Labels {
        Labels::Classes(Tensor::from_slice(&[0_i64, 2]))
    }

    #[test]
    fn labels_of_one_class() {
        let cost = costs();
        check(&loss(None, WeightedMean::MMAction2), 0.0, LOGITS, &classes(), f64::midpoint(cost[0], cost[5]));
        let weighted = loss(Some(vec![1.0, 5.0, 3.0]), WeightedMean::MMAction2);
        check(&weighted, 0.0, LOGITS, &classes(), (cost[0] + 3.0 * cost[5]) / 4.0);
        // MMAction2's own example of smoothing: 0.40126, and 0.25126 without.
        check(&loss(None, WeightedMean::MMAction2), 0.1, LOGITS, &classes(), {
            let smoothed =
                |label: usize, row: usize| 0.9 * cost[label] + 0.1 / 3.0 * cost[row..row + 3].iter().sum::<f64>();
            f64::midpoint(smoothed(0, 0), smoothed(5, 3))
        });
    }

    /// Checks that the losses of the two clips, times their divisors, are the loss of both times its divisor.
    #[track_caller]
    fn check_parts(loss: &Loss, label_smooth_eps: f64) {
        let objective = Objective { loss: loss.clone(), label_smooth_eps };
        let logits = Tensor::from_slice(&LOGITS).view([2, 3]);
        let of = |first: i64, len: i64| {
            let labels = Labels::Classes(Tensor::from_slice(&[0_i64, 2]).narrow(0, first, len));
            let logits = logits.narrow(0, first, len);
            let divisor = match objective.divisor(&logits, &labels).expect("a divisor") {
                Divisor::One => 1.0,
                Divisor::Clips => len as f64,
                Divisor::Weights(sum) => sum.double_value(&[]),
            };
            (objective.loss(&logits, &labels).expect("a loss").double_value(&[]) * divisor, divisor)
        };
        let (first, second, both) = (of(0, 1), of(1, 1), of(0, 2));
        assert!((first.0 + second.0 - both.0).abs() < 1e-6, "{first:?} {second:?} {both:?} {loss:?}");
        let is_sum = matches!(loss, Loss::CrossEntropyLoss(CrossEntropyLoss { reduction: Reduction::Sum, .. }));
        assert!(is_sum || (first.1 + second.1 - both.1).abs() < 1e-6, "{first:?} {second:?} {both:?} {loss:?}");
    }

    #[test]
    fn losses_of_parts_add_up() {
        for normalisation in [WeightedMean::MMAction2, WeightedMean::PyTorch] {
            for class_weight in [None, Some(vec![1.0, 5.0, 3.0])] {
                for reduction in [Reduction::Mean, Reduction::Sum] {
                    for eps in [0.0, 0.1] {
                        let (normalisation, class_weight) = (normalisation, class_weight.clone());
                        let params = CrossEntropyLoss { class_weight, normalisation, reduction, ..Default::default() };
                        check_parts(&Loss::CrossEntropyLoss(params), eps);
                    }
                }
            }
        }
    }

    #[test]
    fn shares_with_class_weights_have_two_normalisations() {
        let cost = costs();
        let shares = Labels::Shares(Tensor::from_slice(&[0.75, 0.25, 0.0, 0.0, 0.0, 1.0]).view([2, 3]));
        let weights = || Some(vec![1.0, 5.0, 3.0]);
        let sum = 0.75 * cost[0] + 5.0 * 0.25 * cost[1] + 3.0 * cost[5];
        check(&loss(weights(), WeightedMean::MMAction2), 0.0, LOGITS, &shares, sum / (0.75 + 1.25 + 3.0));
        check(&loss(weights(), WeightedMean::PyTorch), 0.0, LOGITS, &shares, sum / 2.0);
        let summed = Loss::CrossEntropyLoss(CrossEntropyLoss {
            class_weight: weights(),
            reduction: Reduction::Sum,
            ..CrossEntropyLoss::default()
        });
        check(&summed, 0.0, LOGITS, &shares, sum);
    }
}
