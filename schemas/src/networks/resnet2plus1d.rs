//! R(2+1)D-34 of MMAction2, which is another network than torchvision's R(2+1)D.

use super::defaults;
use super::family::Family;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// R(2+1)D-34 (Tran et al. 2018) as MMAction2 builds it: the stem and the shortcuts are factorised too. Names and weights: MMAction2
/// `r2plus1d_r34`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResNet2Plus1d {
    /// The channels of the stem; 64 in the published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
}

impl Family for ResNet2Plus1d {
    const SUMMARY: &'static str = "ResNet-34 with factorised convolutions, stem and shortcuts";
    const PAPER: &'static str = "Tran et al. 2018";
    const WEIGHTS: &'static str = "MMAction2 `r2plus1d_r34`";
}
