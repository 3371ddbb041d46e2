//! [`ReduceOnPlateauLr`]: lowers the rate when a metric of the validation stops improving.

use super::check::{Problem, not_negative, problem};
use super::{Change, MetricSchedule, Rate, Span, Tick};
use crate::{Monitor, Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `ReduceOnPlateauLR`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReduceOnPlateauLr {
    /// Name of the metric, as in `metrics.json`. Default: `loss`.
    pub monitor: String,
    /// Which values are better. Default: `less`.
    pub rule: Rule,
    /// Factor of each reduction. Default: 0.1.
    pub factor: f64,
    /// Number of validations without an improvement that are tolerated; the next one reduces the rate. Default: 10.
    pub patience: u32,
    /// Least improvement that counts. Default: 0.0001.
    pub threshold: f64,
    /// Whether `threshold` is a share of the best value or a difference. Default: `rel`.
    #[serde(skip_serializing_if = "is_relative")]
    pub threshold_rule: ThresholdRule,
    /// Number of validations after a reduction in which no further one is counted. Default: 0.
    pub cooldown: u32,
    /// Lower bound of the rate. Default: 0.
    pub min_value: f64,
    /// The rate stays if a reduction would lower it by no more than this. Default: 1e-8.
    #[serde(skip_serializing_if = "is_default_eps")]
    pub eps: f64,
    /// The number of epochs before validations count. Default: 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub begin: Tick,
    /// The number of epochs from which on validations no longer count. Default: all count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Tick>,
}

/// What a threshold is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdRule {
    /// The best value times one plus or minus the threshold.
    #[default]
    Rel,
    /// The best value plus or minus the threshold.
    Abs,
}

/// The best value before the first validation is this for `less`, and its negative for `greater`.
const WORST: f64 = 1e9;

/// The smallest reduction by default.
const EPS: f64 = 1e-8;

impl ReduceOnPlateauLr {
    /// Returns whether the last value of `history` reduces the rate.
    fn reduces(&self, history: &[f64]) -> bool {
        let mut best = match self.rule {
            Rule::Less => WORST,
            Rule::Greater => -WORST,
        };
        let (mut num_bad, mut cooldown, mut reduces) = (0, 0, false);
        for value in history {
            if self.is_better(*value, best) {
                (best, num_bad) = (*value, 0);
            } else {
                num_bad += 1;
            }
            if cooldown > 0 {
                (cooldown, num_bad) = (cooldown - 1, 0);
            }
            reduces = num_bad > self.patience;
            if reduces {
                (cooldown, num_bad) = (self.cooldown, 0);
            }
        }
        reduces
    }

    fn is_better(&self, value: f64, best: f64) -> bool {
        match (self.rule, self.threshold_rule) {
            (Rule::Less, ThresholdRule::Rel) => value < best * (1.0 - self.threshold),
            (Rule::Less, ThresholdRule::Abs) => value < best - self.threshold,
            (Rule::Greater, ThresholdRule::Rel) => value > best * (self.threshold + 1.0),
            (Rule::Greater, ThresholdRule::Abs) => value > best + self.threshold,
        }
    }
}

impl MetricSchedule for ReduceOnPlateauLr {
    fn monitor(&self) -> Monitor<'_> {
        Monitor { metric: &self.monitor, rule: Some(self.rule) }
    }

    fn span(&self) -> Span {
        Span { begin: self.begin, end: self.end, by_epoch: true, convert_to_iter_based: false }
    }

    fn check(&self) -> Vec<Problem> {
        let fits = (0.0..1.0).contains(&self.factor);
        let of_factor = (!fits).then(|| {
            problem("factor", format!("{} is not between 0 and 1", self.factor), "a number from 0 to below 1")
        });
        let numbers = [("threshold", self.threshold), ("min_value", self.min_value), ("eps", self.eps)];
        of_factor.into_iter().chain(numbers.iter().filter_map(|(field, value)| not_negative(field, *value))).collect()
    }

    fn change(&self, history: &[f64], rate: Rate) -> Change {
        let reduced = (rate.current * self.factor).max(self.min_value);
        if self.reduces(history) && rate.current - reduced > self.eps { Change::Value(reduced) } else { Change::Keep }
    }
}

impl Default for ReduceOnPlateauLr {
    fn default() -> Self {
        Self {
            monitor: "loss".into(),
            rule: Rule::Less,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            threshold_rule: ThresholdRule::Rel,
            cooldown: 0,
            min_value: 0.0,
            eps: EPS,
            begin: Tick::default(),
            end: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_relative(rule: &ThresholdRule) -> bool {
    *rule == ThresholdRule::Rel
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_default_eps(eps: &f64) -> bool {
    eps.to_bits() == EPS.to_bits()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(tick: &Tick) -> bool {
    *tick == Tick::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(params: &ReduceOnPlateauLr, history: &[f64], expect: &[bool]) {
        let found: Vec<bool> = (1..=history.len()).map(|len| params.reduces(&history[..len])).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn patience_counts_validations_without_an_improvement() {
        let params = ReduceOnPlateauLr { patience: 1, ..ReduceOnPlateauLr::default() };
        check(&params, &[2.0, 2.0, 1.0, 1.5, 1.5, 1.5, 1.5], &[false, false, false, false, true, false, true]);
    }

    #[test]
    fn an_improvement_below_the_threshold_does_not_count() {
        let params = ReduceOnPlateauLr { patience: 0, threshold: 0.1, ..ReduceOnPlateauLr::default() };
        check(&params, &[10.0, 9.5, 8.9], &[false, true, false]);
        let rising = ReduceOnPlateauLr { rule: Rule::Greater, ..params.clone() };
        check(&rising, &[0.5, 0.52, 0.6], &[false, true, false]);
        let absolute = ReduceOnPlateauLr { threshold_rule: ThresholdRule::Abs, ..params };
        check(&absolute, &[10.0, 9.95, 9.5], &[false, true, false]);
        let absolute = ReduceOnPlateauLr { threshold_rule: ThresholdRule::Abs, ..rising };
        check(&absolute, &[0.5, 0.52, 0.65], &[false, true, false]);
    }

    #[test]
    fn nothing_is_counted_during_the_cooldown() {
        let params = ReduceOnPlateauLr { patience: 0, cooldown: 2, ..ReduceOnPlateauLr::default() };
        check(&params, &[1.0; 6], &[false, true, false, false, true, false]);
    }

    #[test]
    fn a_value_that_is_not_a_number_is_no_improvement() {
        let params = ReduceOnPlateauLr { patience: 1, ..ReduceOnPlateauLr::default() };
        check(&params, &[f64::NAN, 1.0, f64::NAN, f64::NAN], &[false, false, false, true]);
    }

    #[test]
    fn the_rate_stays_above_its_minimum() {
        let params = ReduceOnPlateauLr { patience: 0, min_value: 0.05, ..ReduceOnPlateauLr::default() };
        let change = |current| params.change(&[1.0, 1.0], Rate { initial: 1.0, current, bounds: None });
        assert_eq!(change(0.1), Change::Value(0.05));
        assert_eq!(change(0.05 + 1e-9), Change::Keep, "a reduction of no more than `eps`");
    }
}
