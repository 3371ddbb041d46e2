//! [`RandomErasing`].

use super::{InvalidField, TransformParams, is_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fills a random box, the same one in all frames of a clip, with a probability. Training only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandomErasing {
    /// Probability that a box is filled.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub erase_prob: f64,
    /// Smallest area of the box, as a share of the frame's area.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_area_ratio: f64,
    /// Largest area of the box, as a share of the frame's area.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_area_ratio: f64,
    /// Smallest and largest aspect ratio of the box, height divided by width.
    pub aspect_range: [f64; 2],
    /// Content of the box.
    pub mode: EraseMode,
    /// Color of the box with `mode: const`: red, green and blue, from 0 to 255.
    pub fill_color: [u8; 3],
}

/// What an erased box is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EraseMode {
    /// The color `fill_color`.
    #[default]
    Const,
    /// A random color for each pixel of each frame.
    Rand,
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self {
            erase_prob: 0.5,
            min_area_ratio: 0.02,
            max_area_ratio: 1.0 / 3.0,
            aspect_range: [3.0 / 10.0, 10.0 / 3.0],
            mode: EraseMode::Const,
            fill_color: [128; 3],
        }
    }
}

impl TransformParams for RandomErasing {
    fn is_random(&self) -> bool {
        true
    }

    fn changes_pixels(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), InvalidField> {
        let Self { min_area_ratio, max_area_ratio, aspect_range: [low, high], .. } = *self;
        if !is_range(self.aspect_range) {
            let message = format!("[{low}, {high}] is not a valid range of aspect ratios");
            return Err(InvalidField { field: "aspect_range", message, help: "0 < low <= high" });
        }
        if min_area_ratio > max_area_ratio {
            let message = format!("{min_area_ratio} is above `max_area_ratio`, {max_area_ratio}");
            return Err(InvalidField { field: "min_area_ratio", message, help: "min_area_ratio <= max_area_ratio" });
        }
        Ok(())
    }
}
