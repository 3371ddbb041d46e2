//! [`DataloaderParams`]: how clips are grouped into batches.

use super::epoch_fields::{EpochContext, EpochFields, json, object};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How training clips are grouped into batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataloaderParams {
    /// Number of clips per step. Default: 32.
    #[schemars(range(min = 1, max = 4096))]
    pub batch_size: u32,
}

impl Default for DataloaderParams {
    fn default() -> Self {
        Self { batch_size: 32 }
    }
}

impl EpochFields for DataloaderParams {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        let Self { batch_size } = self;
        object([("batch_size", json(batch_size))])
    }
}
