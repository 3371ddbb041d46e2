//! [`RandomRescale`].

use super::{InvalidField, TransformParams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Scales the shorter side to a random length and keeps the aspect ratio. Training only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomRescale {
    /// Smallest and largest length of the shorter side in pixels, both included, such as `[256, 320]`.
    pub scale_range: [u32; 2],
}

impl TransformParams for RandomRescale {
    fn is_random(&self) -> bool {
        true
    }

    fn changes_pixels(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), InvalidField> {
        let [low, high] = self.scale_range;
        if 0 < low && low <= high && high <= 65_535 {
            return Ok(());
        }
        let message = format!("[{low}, {high}] is not a valid range of lengths");
        Err(InvalidField { field: "scale_range", message, help: "0 < low <= high <= 65535" })
    }
}
