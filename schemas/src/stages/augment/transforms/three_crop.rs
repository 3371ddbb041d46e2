//! [`ThreeCrop`].

use super::TransformParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes three views along the longer side of the frame: left, right and center, or top, bottom and center. The shorter side
/// must have the size of the crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreeCrop {
    /// Side of each square in pixels, equal to the shorter side of the frame.
    #[schemars(range(min = 1, max = 4096))]
    pub crop_size: u32,
}

impl TransformParams for ThreeCrop {
    fn is_random(&self) -> bool {
        false
    }

    fn changes_pixels(&self) -> bool {
        false
    }
}
