//! [`CenterCrop`].

use super::TransformParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Crops a square from the center.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    /// Side of the square in pixels; a frame that is smaller is an error.
    #[schemars(range(min = 1, max = 4096))]
    pub crop_size: u32,
}

impl TransformParams for CenterCrop {
    fn is_random(&self) -> bool {
        false
    }

    fn changes_pixels(&self) -> bool {
        false
    }
}
