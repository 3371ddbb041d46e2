//! [`EarlyStopping`]: ends training when a metric stops improving.

use super::epoch_fields::{EpochContext, EpochFields};
use crate::contract::ParamError;
use crate::{Monitor, Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Ends training when a metric of the validation stops improving. Names are those of MMEngine's `EarlyStoppingHook`.
///
/// It is computed from the metrics of the epochs, which are kept: after a change here, the epochs that exist are used again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Name of the metric, as in `metrics.json`.
    pub monitor: String,
    /// Number of validations in a row without an improvement after which training ends. Default: 5.
    #[serde(default = "patience")]
    #[schemars(range(min = 1))]
    pub patience: u32,
    /// An improvement must be greater than this. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub min_delta: f64,
    /// Which values are better. Default: that of the metric.
    #[serde(default)]
    pub rule: Option<Rule>,
}

impl EarlyStopping {
    /// Returns the metric.
    pub fn monitor(&self) -> Monitor<'_> {
        Monitor { metric: &self.monitor, rule: self.rule }
    }

    /// Returns whether training ends after the last of `history`, the values of the metric, oldest first.
    pub fn ends_after(&self, rule: Rule, history: &[f64]) -> bool {
        let (mut best, mut num_waited) = (None, 0);
        for value in history {
            if best.is_none_or(|best| rule.improves(*value, best, self.min_delta)) {
                (best, num_waited) = (Some(*value), 0);
            } else {
                num_waited += 1;
            }
        }
        num_waited >= self.patience
    }

    /// Returns what is wrong with early stopping in a training that is validated or not.
    pub(super) fn check(validates: bool) -> Option<ParamError> {
        (!validates).then(|| ParamError {
            path: vec!["early_stopping".into()],
            message: "needs a validation, but `train_cfg.val_interval` is 0".into(),
            help: "set `train_cfg.val_interval` to 1 or more".into(),
        })
    }
}

impl EpochFields for EarlyStopping {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        // Whether an epoch is trained does not change its result.
        let Self { monitor: _, patience: _, min_delta: _, rule: _ } = self;
        Map::new()
    }
}

fn patience() -> u32 {
    5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patience: u32, min_delta: f64, rule: Rule, history: &[f64], expect: Option<usize>) {
        let params = EarlyStopping { monitor: "top1".into(), patience, min_delta, rule: None };
        let end = (1..=history.len()).find(|len| params.ends_after(rule, &history[..*len]));
        assert_eq!(end, expect, "{params:?}");
    }

    #[test]
    fn patience_counts_validations_in_a_row() {
        let history = [0.5, 0.4, 0.6, 0.6, 0.5];
        check(1, 0.0, Rule::Greater, &history, Some(2));
        check(2, 0.0, Rule::Greater, &history, Some(5));
        check(3, 0.0, Rule::Greater, &history, None);
        check(2, 0.1, Rule::Greater, &history, Some(3));
        check(2, 0.0, Rule::Less, &history, Some(4));
    }

    #[test]
    fn a_loss_that_is_not_a_number_is_no_improvement() {
        check(2, 0.0, Rule::Less, &[1.0, f64::NAN, f64::NAN], Some(3));
    }
}
