//! [`Resize`].

use super::TransformParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Scales the whole frame. The last transform that sets a size should give the same one for all clips: the network takes one
/// size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// The new size: `{ short_side_px: 256 }` keeps the aspect ratio, `{ exact: [224, 224] }` does not.
    pub scale: Scale,
}

/// A size to scale to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scale {
    /// Length of the shorter side in pixels; the aspect ratio is kept. MMAction2 writes `scale: (-1, 256)`.
    ShortSidePx(u32),
    /// Width and height in pixels; the aspect ratio is not kept. MMAction2 writes `scale: (224, 224), keep_ratio: False`.
    Exact([u32; 2]),
}

impl TransformParams for Resize {
    fn is_random(&self) -> bool {
        false
    }

    fn changes_pixels(&self) -> bool {
        false
    }
}
