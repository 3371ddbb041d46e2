//! R(2+1)D-34 of MMAction2, which is another network than torchvision's R(2+1)D.

use super::defaults;
use super::family::Family;
use super::frozen_parts::{self, FrozenParts};
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
    /// The stem and this number of stages are not trained, and their batch normalisations keep their running statistics; 0 for
    /// the stem alone, -1 for none.
    #[serde(default = "frozen_parts::no_stage", skip_serializing_if = "frozen_parts::is_no_stage")]
    #[schemars(range(min = -1, max = 4))]
    pub frozen_stages: i32,
    /// Whether all batch normalisations use their running statistics, and keep them, in training.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub norm_eval: bool,
}

impl Default for ResNet2Plus1d {
    fn default() -> Self {
        Self { base_channels: defaults::base_channels(), frozen_stages: frozen_parts::no_stage(), norm_eval: false }
    }
}

impl Family for ResNet2Plus1d {
    const SUMMARY: &'static str = "ResNet-34 with factorised convolutions, stem and shortcuts";
    const PAPER: &'static str = "Tran et al. 2018";
    const WEIGHTS: &'static str = "MMAction2 `r2plus1d_r34`";

    fn frozen_parts(&self) -> FrozenParts {
        FrozenParts { frozen_stages: self.frozen_stages, norm_eval: self.norm_eval, ..FrozenParts::default() }
    }
}
