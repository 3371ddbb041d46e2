//! R3D: a ResNet with 3-D convolutions.

use super::defaults;
use super::family::Family;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// R3D-18 (Tran et al. 2018). Names and weights: torchvision `r3d_18`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct R3D {
    /// The channels of the stem; 64 in the published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
}

impl Family for R3D {
    const SUMMARY: &'static str = "ResNet-18 with 3x3x3 convolutions on clips";
    const PAPER: &'static str = "Tran et al. 2018";
    const WEIGHTS: &'static str = "torchvision `r3d_18`";
}
