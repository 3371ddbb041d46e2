//! [`RandomResizedCrop`].

use super::{InvalidField, TransformParams, is_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Crops a box of random area, aspect ratio and place; the usual crop for training on ImageNet. Put a `Resize` to the exact
/// size after it. Training only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// Smallest and largest area of the box, as shares of the frame's area, above 0 and up to 1.
    pub area_range: [f64; 2],
    /// Smallest and largest aspect ratio of the box, width divided by height.
    pub aspect_ratio_range: [f64; 2],
}

impl Default for RandomResizedCrop {
    fn default() -> Self {
        Self { area_range: [0.08, 1.0], aspect_ratio_range: [3.0 / 4.0, 4.0 / 3.0] }
    }
}

impl TransformParams for RandomResizedCrop {
    fn is_random(&self) -> bool {
        true
    }

    fn changes_pixels(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), InvalidField> {
        let ([low, high], [narrow, wide]) = (self.area_range, self.aspect_ratio_range);
        if !is_range(self.area_range) || high > 1.0 {
            let message = format!("[{low}, {high}] is not a valid range of area shares");
            return Err(InvalidField { field: "area_range", message, help: "0 < low <= high <= 1" });
        }
        if !is_range(self.aspect_ratio_range) {
            let message = format!("[{narrow}, {wide}] is not a valid range of aspect ratios");
            return Err(InvalidField { field: "aspect_ratio_range", message, help: "0 < low <= high" });
        }
        Ok(())
    }
}
