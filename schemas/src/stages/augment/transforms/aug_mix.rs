//! [`AugMix`].

use super::TransformParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Blends a clip with several versions of itself, each changed by a chain of random operations. Training only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AugMix {
    /// Largest strength of an operation, from 0.1 to 10; each strength is drawn from 0.1 up to it.
    #[schemars(range(min = 0.1, max = 10.0))]
    pub magnitude: f64,
    /// Parameter of the Beta and Dirichlet distributions from which the shares of the clip and of the chains are drawn.
    #[schemars(range(min = 0.01, max = 100.0))]
    pub alpha: f64,
    /// Number of chains.
    #[schemars(range(min = 1, max = 16))]
    pub width: u32,
    /// Number of operations in each chain; 0 draws 1, 2 or 3 for each.
    #[schemars(range(min = 0, max = 16))]
    pub depth: u32,
}

impl Default for AugMix {
    fn default() -> Self {
        Self { magnitude: 3.0, alpha: 1.0, width: 3, depth: 0 }
    }
}

impl TransformParams for AugMix {
    fn is_random(&self) -> bool {
        true
    }

    fn changes_pixels(&self) -> bool {
        true
    }
}
