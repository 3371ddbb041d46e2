//! [`ColorJitter`].

use super::TransformParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes brightness, contrast, saturation and hue by random amounts, in random order; the same for all frames of a clip.
/// Training only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ColorJitter {
    /// Largest change of brightness: 0.5 draws a factor from 0.5 to 1.5, 0 leaves it as it is.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub brightness: f64,
    /// Largest change of contrast: 0.5 draws a factor from 0.5 to 1.5, 0 leaves it as it is.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub contrast: f64,
    /// Largest change of saturation: 0.5 draws a factor from 0.5 to 1.5, 0 leaves it as it is.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub saturation: f64,
    /// Largest shift of the hue in either direction, as a share of the color circle: 0.5 reaches every color.
    #[schemars(range(min = 0.0, max = 0.5))]
    pub hue: f64,
}

impl Default for ColorJitter {
    fn default() -> Self {
        Self { brightness: 0.5, contrast: 0.5, saturation: 0.5, hue: 0.1 }
    }
}

impl TransformParams for ColorJitter {
    fn is_random(&self) -> bool {
        true
    }

    fn changes_pixels(&self) -> bool {
        true
    }
}
