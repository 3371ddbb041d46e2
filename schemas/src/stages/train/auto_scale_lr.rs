//! [`AutoScaleLr`]: for how many clips per step the learning rate was chosen.

use super::epoch_fields::{EpochContext, EpochFields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// For how many clips per step the learning rate was chosen. Names are those of MMEngine.
///
/// A step has `batch_size` times `accumulative_counts` clips; MMEngine leaves out the second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoScaleLr {
    /// Whether the learning rate before schedules is multiplied by the number of clips per step and divided by `base_batch_size`.
    /// Otherwise there is a warning where the numbers differ. Default: false.
    #[serde(default)]
    pub enable: bool,
    /// The number of clips per step, of all devices together, that the learning rate was chosen for.
    #[schemars(range(min = 1))]
    pub base_batch_size: u32,
}

impl AutoScaleLr {
    /// Returns `lr` in proportion to the number of clips per step.
    pub fn in_proportion(&self, lr: f64, clips_per_step: u32) -> f64 {
        // MMEngine's order of operations.
        lr * (f64::from(clips_per_step) / f64::from(self.base_batch_size))
    }
}

impl EpochFields for AutoScaleLr {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        // An epoch depends on its learning rates, which the stage adds.
        let Self { enable: _, base_batch_size: _ } = self;
        Map::new()
    }
}
