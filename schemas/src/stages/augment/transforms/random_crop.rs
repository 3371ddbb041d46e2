//! [`RandomCrop`].

use super::TransformParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Crops a square at a random place. Training only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    /// Side of the square in pixels; a frame that is smaller is an error.
    #[schemars(range(min = 1, max = 4096))]
    pub size: u32,
}

impl TransformParams for RandomCrop {
    fn is_random(&self) -> bool {
        true
    }

    fn changes_pixels(&self) -> bool {
        false
    }
}
