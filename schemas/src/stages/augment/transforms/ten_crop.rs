//! [`TenCrop`].

use super::TransformParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes ten views: the four corners and the center, each followed by its mirror image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenCrop {
    /// Side of each square in pixels; a frame that is smaller is an error.
    #[schemars(range(min = 1, max = 4096))]
    pub crop_size: u32,
}

impl TransformParams for TenCrop {
    fn is_random(&self) -> bool {
        false
    }

    fn changes_pixels(&self) -> bool {
        false
    }
}
