//! [`CheckpointParams`]: which states of training are kept.

use super::epoch_fields::{EpochContext, EpochFields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which states of training are kept after it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointParams {
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
    /// `patience` would end training are kept too.
    #[default]
    Milestones,
    /// Training can continue from the last epoch only.
    Last,
}

impl EpochFields for CheckpointParams {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        // It is applied after all epochs.
        let Self { keep: _ } = self;
        Map::new()
    }
}
