//! [`MultiScaleCrop`].

use super::{InvalidField, TransformParams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Crops a box whose sides are drawn from a list of scales, at one of a few fixed places (TSN, TSM). Put a `Resize` to the
/// exact size after it. Training only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultiScaleCrop {
    /// Side in pixels of the square that the `Resize` after it makes. A side of the box that differs from it by less than
    /// three pixels is set to it, which spares a resampling.
    #[schemars(range(min = 1, max = 4096))]
    pub input_size: u32,
    /// Sides of the box to choose from, as shares of the frame's shorter side, above 0 and up to 1.
    #[serde(default = "scales")]
    pub scales: Vec<f64>,
    /// Largest distance between the positions of width and height in `scales`; 0 crops squares only.
    #[serde(default = "max_wh_scale_gap")]
    pub max_wh_scale_gap: u32,
    /// Whether the box may lie anywhere, instead of at one of the fixed places.
    #[serde(default)]
    pub random_crop: bool,
    /// Number of fixed places: 5 for the corners and the center, or 13 with places between them.
    #[serde(default = "num_fixed_crops")]
    pub num_fixed_crops: u32,
}

fn scales() -> Vec<f64> {
    vec![1.0, 0.875, 0.75, 0.66]
}

fn max_wh_scale_gap() -> u32 {
    1
}

fn num_fixed_crops() -> u32 {
    5
}

impl TransformParams for MultiScaleCrop {
    fn is_random(&self) -> bool {
        true
    }

    fn changes_pixels(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), InvalidField> {
        if [5, 13].contains(&self.num_fixed_crops) {
            return Ok(());
        }
        let message = format!("{} is not a valid number of fixed crops", self.num_fixed_crops);
        Err(InvalidField { field: "num_fixed_crops", message, help: "5 or 13" })
    }
}
