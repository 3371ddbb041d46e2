//! [`RandAugment`].

use super::TransformParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Applies a few random operations out of fourteen (colors, contrast, rotation, shear, translation, …), the same ones to all
/// frames of a clip. Training only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandAugment {
    /// Mean strength of the operations, from 0 (no change) to 10.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub magnitude: f64,
    /// Standard deviation of the strength, which is drawn for each operation.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub magnitude_std: f64,
    /// Number of operations that are chosen, all different.
    #[schemars(range(min = 1, max = 14))]
    pub num_layers: u32,
    /// Probability that a chosen operation is applied.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub prob: f64,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self { magnitude: 9.0, magnitude_std: 0.5, num_layers: 2, prob: 0.5 }
    }
}

impl TransformParams for RandAugment {
    fn is_random(&self) -> bool {
        true
    }

    fn changes_pixels(&self) -> bool {
        true
    }
}
