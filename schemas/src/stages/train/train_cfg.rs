//! [`TrainCfg`]: the length of training, and when the network is validated.

use super::epoch_fields::{EpochContext, EpochFields};
use crate::contract::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Number of epochs if neither `max_epochs` nor `max_iters` is given.
const MAX_EPOCHS: u32 = 50;

/// The length of training, and when the network is validated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainCfg {
    /// Number of epochs; at most the `epochs` of `augment`. Default: 50, unless `max_iters` is given.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_epochs: Option<u32>,
    /// Number of steps, instead of `max_epochs`. The last epoch ends with the last step. All else still counts epochs: validation,
    /// schedules with `by_epoch`, and from where training continues.
    #[schemars(range(min = 1))]
    pub max_iters: Option<u32>,
    /// The first epoch that is validated, counted from 1. Default: 1.
    #[schemars(range(min = 1))]
    pub val_begin: u32,
    /// Number of epochs from one validation to the next. The last epoch is validated too. 0 switches validation off. Default: 0.
    pub val_interval: u32,
    /// Other intervals, each with the epoch, counted from 1, from which on it is used. As in MMEngine it is used after the epoch before
    /// already: `[[40, 1]]` validates after the 39th epoch and all that follow. Default: none.
    pub dynamic_intervals: Vec<[u32; 2]>,
}

impl TrainCfg {
    /// Returns the number of epochs; `None` if `max_iters` decides.
    pub fn num_epochs(&self) -> Option<u32> {
        if self.max_iters.is_some() { None } else { Some(self.max_epochs.unwrap_or(MAX_EPOCHS)) }
    }

    /// Returns whether the network is validated at all.
    pub fn validates(&self) -> bool {
        self.val_interval > 0 || !self.dynamic_intervals.is_empty()
    }

    /// Returns whether the interval asks for a validation after `epochs_done` epochs, however many follow.
    pub fn validates_after(&self, epochs_done: u32) -> bool {
        let interval = self.interval(epochs_done);
        interval > 0 && epochs_done >= self.val_begin && epochs_done.is_multiple_of(interval)
    }

    /// Returns whether the network is validated after `epochs_done` epochs if they are all.
    pub fn validates_at_the_end(&self, epochs_done: u32) -> bool {
        self.interval(epochs_done) > 0 && epochs_done >= self.val_begin
    }

    /// Returns the interval after `epochs_done` epochs. As in MMEngine it is that of the epoch which follows.
    fn interval(&self, epochs_done: u32) -> u32 {
        let begun = self.dynamic_intervals.iter().rev().find(|[begin, _]| *begin <= epochs_done + 1);
        begun.map_or(self.val_interval, |[_, interval]| *interval)
    }

    pub(super) fn check(&self) -> Vec<ParamError> {
        let mut errors = Vec::new();
        let mut wrong = |name: &str, message: String, help: &str| {
            let path = vec!["train_cfg".into(), name.into()];
            errors.push(ParamError { path, message, help: help.into() });
        };
        if self.max_epochs.is_some() && self.max_iters.is_some() {
            wrong("max_iters", "excludes `max_epochs`".into(), "remove one of the two");
        }
        if self.dynamic_intervals.iter().any(|[_, interval]| *interval == 0) {
            wrong("dynamic_intervals", "has an interval of 0".into(), "a number of epochs, 1 or more");
        }
        let mut pairs = self.dynamic_intervals.iter().zip(self.dynamic_intervals.iter().skip(1));
        if let Some(([before, _], [begin, _])) = pairs.find(|([before, _], [begin, _])| before >= begin) {
            let message = format!("names epoch {begin} after epoch {before}");
            wrong("dynamic_intervals", message, "`[EPOCH, INTERVAL]`, in the order of epochs");
        }
        errors
    }
}

impl EpochFields for TrainCfg {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        // Epochs that follow do not change this one. Whether it is validated is a fact about the epoch, and the stage adds what
        // the validation depends on, as well as the number of steps if the epoch does not have all.
        let Self { max_epochs: _, max_iters: _, val_begin: _, val_interval: _, dynamic_intervals: _ } = self;
        Map::new()
    }
}

impl Default for TrainCfg {
    fn default() -> Self {
        Self { max_epochs: None, max_iters: None, val_begin: 1, val_interval: 0, dynamic_intervals: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cfg: &TrainCfg, expect: &[u32]) {
        assert_eq!(cfg.check(), []);
        let validated: Vec<u32> = (1..=10).filter(|epochs| cfg.validates_after(*epochs)).collect();
        assert_eq!(validated, expect, "{cfg:?}");
    }

    #[test]
    fn validations_follow_the_interval_from_val_begin() {
        let cfg = TrainCfg { val_interval: 3, ..TrainCfg::default() };
        check(&TrainCfg::default(), &[]);
        check(&cfg, &[3, 6, 9]);
        check(&TrainCfg { val_begin: 6, ..cfg.clone() }, &[6, 9]);
        assert!(cfg.validates_at_the_end(10));
        assert!(!TrainCfg { val_begin: 11, ..cfg }.validates_at_the_end(10));
        assert!(!TrainCfg::default().validates_at_the_end(10));
    }

    /// The expected epochs are those of MMEngine: a new interval is used after the epoch before it already.
    #[test]
    fn intervals_may_change() {
        let cfg = TrainCfg { val_interval: 4, dynamic_intervals: vec![[6, 2], [9, 1]], ..TrainCfg::default() };
        check(&cfg, &[4, 6, 8, 9, 10]);
        check(&TrainCfg { val_interval: 0, ..cfg.clone() }, &[6, 8, 9, 10]);
        check(&TrainCfg { val_interval: 0, dynamic_intervals: vec![[6, 5]], ..cfg }, &[5, 10]);
    }

    #[test]
    fn impossible_values_are_reported_by_field() {
        let check = |cfg: TrainCfg, field: &str, message: &str| {
            let errors = cfg.check();
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert_eq!((errors[0].path.join("."), errors[0].message.as_str()), (format!("train_cfg.{field}"), message));
        };
        let cfg = TrainCfg::default();
        check(
            TrainCfg { max_epochs: Some(3), max_iters: Some(9), ..cfg.clone() },
            "max_iters",
            "excludes `max_epochs`",
        );
        let intervals = |dynamic_intervals: Vec<[u32; 2]>| TrainCfg { dynamic_intervals, ..cfg.clone() };
        check(intervals(vec![[3, 0]]), "dynamic_intervals", "has an interval of 0");
        check(intervals(vec![[3, 1], [3, 2]]), "dynamic_intervals", "names epoch 3 after epoch 3");
    }
}
