//! [`CheckpointParams`]: which epoch the model is from, and which states of training are kept.

use super::epoch_fields::{EpochContext, EpochFields};
use crate::contract::ParamError;
use crate::{Monitor, Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The value of `save_best` that stands for the first metric of the validation.
const AUTO: &str = "auto";

/// Which epoch the output `model` is from, and which states of training are kept after it has ended. Names are those of MMEngine's
/// `CheckpointHook`.
///
/// The best epoch is computed from the metrics of the epochs, which are kept: after a change of `save_best`, no epoch is trained again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointParams {
    /// Name of the metric, as in `metrics.json`, that the epoch of the output `model` is the best of; the first of several. `auto` is
    /// `top1`, or `mean_average_precision` where videos have several labels. The output `last` is from the last epoch always.
    /// Default: the model is from the last epoch, too.
    pub save_best: Option<String>,
    /// Which values of the metric are better. Default: that of the metric.
    pub rule: Option<Rule>,
    /// The state of each epoch whose number, counted from 1, is a multiple of this is kept as well. Default: none is.
    #[schemars(range(min = 1))]
    pub interval: Option<u32>,
    /// The epochs whose states are kept. Default: `milestones`.
    pub keep: KeepStates,
}

/// The epochs whose states are kept. A state has the size of the network and of what the optimiser stores per weight: 190 MB for
/// a ResNet-50 with momentum. `pipe cache gc` deletes the states that are not kept. If one is needed after all, its epoch is trained
/// again, from the newest kept state before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepStates {
    /// Training can continue from every epoch.
    All,
    /// Training can continue from the last epoch, for example for more epochs, and from each epoch at which a schedule of the learning
    /// rate begins, ends or has a milestone, for example when a milestone is moved to a later epoch. The epochs at which a smaller
    /// `patience` would end training are kept too, and those that are the best by some metric.
    #[default]
    Milestones,
    /// Training can continue from the last epoch only. With `save_best`, the best epoch is kept too.
    Last,
}

impl CheckpointParams {
    /// Returns the metric that decides which epoch is the best, if one does. `auto` is what `save_best: auto` stands for.
    pub fn monitor<'a>(&'a self, auto: &'a str) -> Option<Monitor<'a>> {
        let metric = self.save_best.as_deref()?;
        Some(Monitor { metric: if metric == AUTO { auto } else { metric }, rule: self.rule })
    }

    /// Returns what is wrong with the parameters of a training that is validated or not.
    pub(super) fn check(&self, validates: bool) -> Option<ParamError> {
        let error = |field: &str, message: &str, help: &str| ParamError {
            path: vec!["checkpoint".into(), field.into()],
            message: message.into(),
            help: help.into(),
        };
        match (&self.save_best, self.rule) {
            (None, Some(_)) => Some(error("rule", "needs `save_best`", "set `save_best`, or remove `rule`")),
            (Some(_), _) if !validates => Some(error(
                "save_best",
                "needs a validation, but `train_cfg.val_interval` is 0",
                "set `train_cfg.val_interval` to 1 or more",
            )),
            (Some(_) | None, _) => None,
        }
    }
}

impl EpochFields for CheckpointParams {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        // They are applied after all epochs.
        let Self { save_best: _, rule: _, interval: _, keep: _ } = self;
        Map::new()
    }
}
