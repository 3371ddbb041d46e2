//! [`TrainCfg`]: the number of epochs, and when the network is validated.

use super::epoch_fields::{EpochContext, EpochFields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The number of epochs, and when the network is validated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainCfg {
    /// Number of epochs; at most the `epochs` of `augment`. Default: 50.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_epochs: u32,
    /// Number of epochs from one validation to the next. The last epoch is validated too. 0 switches validation off. Default: 0.
    pub val_interval: u32,
}

impl TrainCfg {
    /// Returns whether the interval asks for a validation after `epochs_done` epochs, however many follow.
    pub fn validates_after(&self, epochs_done: u32) -> bool {
        self.val_interval > 0 && epochs_done.is_multiple_of(self.val_interval)
    }
}

impl EpochFields for TrainCfg {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        // Epochs that follow do not change this one. Whether it is validated is a fact about the epoch, and the stage adds what
        // the validation depends on.
        let Self { max_epochs: _, val_interval: _ } = self;
        Map::new()
    }
}

impl Default for TrainCfg {
    fn default() -> Self {
        Self { max_epochs: 50, val_interval: 0 }
    }
}
