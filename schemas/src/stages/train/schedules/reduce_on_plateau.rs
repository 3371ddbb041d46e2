//! [`ReduceOnPlateauLr`]: lowers the rate when a metric of the validation stops improving.

use super::{Change, MetricSchedule, Rate};
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
    #[schemars(range(min = 0.0, max = 1.0))]
    pub factor: f64,
    /// Number of validations without an improvement that are tolerated; the next one reduces the rate. Default: 10.
    pub patience: u32,
    /// Least improvement that counts, as a share of the best value. Default: 0.0001.
    #[schemars(range(min = 0.0))]
    pub threshold: f64,
    /// Number of validations after a reduction in which no further one is counted. Default: 0.
    pub cooldown: u32,
    /// Lower bound of the rate. Default: 0.
    #[schemars(range(min = 0.0))]
    pub min_value: f64,
}

impl ReduceOnPlateauLr {
    /// Returns whether the last value of `history` reduces the rate.
    fn reduces(&self, history: &[f64]) -> bool {
        let (mut best, mut num_bad, mut cooldown, mut reduces) = (None, 0, 0, false);
        for value in history {
            if best.is_none_or(|best: f64| self.rule.improves(*value, best, self.threshold * best.abs())) {
                (best, num_bad) = (Some(*value), 0);
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
}

impl MetricSchedule for ReduceOnPlateauLr {
    fn monitor(&self) -> Monitor<'_> {
        Monitor { metric: &self.monitor, rule: Some(self.rule) }
    }

    fn change(&self, history: &[f64], rate: Rate) -> Change {
        if !self.reduces(history) {
            return Change::Keep;
        }
        Change::Value((rate.current * self.factor).max(self.min_value))
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
            cooldown: 0,
            min_value: 0.0,
        }
    }
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
        let rising = ReduceOnPlateauLr { rule: Rule::Greater, ..params };
        check(&rising, &[0.5, 0.52, 0.6], &[false, true, false]);
    }

    #[test]
    fn nothing_is_counted_during_the_cooldown() {
        let params = ReduceOnPlateauLr { patience: 0, cooldown: 2, ..ReduceOnPlateauLr::default() };
        check(&params, &[1.0; 6], &[false, true, false, false, true, false]);
    }

    #[test]
    fn the_rate_stays_above_its_minimum() {
        let params = ReduceOnPlateauLr { patience: 0, min_value: 0.05, ..ReduceOnPlateauLr::default() };
        let change = params.change(&[1.0, 1.0], Rate { initial: 1.0, current: 0.1 });
        assert_eq!(change, Change::Value(0.05));
    }
}
