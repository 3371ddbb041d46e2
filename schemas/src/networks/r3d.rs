//! ResNet-18 on clips, with 3-D convolutions (R3D), 3-D in the first layer only (MC3), and factorised ones (R(2+1)D).

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

/// MC3-18 (Tran et al. 2018). Names and weights: torchvision `mc3_18`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MC3 {
    /// The channels of the stem; 64 in the published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
}

impl Family for MC3 {
    const SUMMARY: &'static str =
        "ResNet-18 with 3x3x3 convolutions in its first layer and 1x3x3 after it; all frames are kept";
    const PAPER: &'static str = "Tran et al. 2018";
    const WEIGHTS: &'static str = "torchvision `mc3_18`";
}

/// R(2+1)D-18 (Tran et al. 2018). Names and weights: torchvision `r2plus1d_18`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct R2Plus1D {
    /// The channels of the stem; 64 in the published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
}

impl Family for R2Plus1D {
    const SUMMARY: &'static str = "ResNet-18 with 3x3x3 convolutions factorised to 1x3x3 and 3x1x1";
    const PAPER: &'static str = "Tran et al. 2018";
    const WEIGHTS: &'static str = "torchvision `r2plus1d_18`";
}
