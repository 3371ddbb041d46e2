//! MobileNetV2 on single frames, without temporal modelling (TSN) and with temporal shift (TSM).

use super::defaults;
use super::family::Family;
use super::frozen_parts::{self, FrozenParts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// MobileNetV2 on each frame (Sandler et al. 2018). Names and weights: torchvision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MobileNetV2 {
    /// The stem and this number of stages are not trained, and their batch normalisations keep their running statistics; 0 for the stem
    /// alone, -1 for none. The eighth stage is the convolution after the blocks.
    #[serde(default = "frozen_parts::no_stage", skip_serializing_if = "frozen_parts::is_no_stage")]
    #[schemars(range(min = -1, max = 8))]
    pub frozen_stages: i32,
    /// Whether all batch normalisations use their running statistics, and keep them, in training.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub norm_eval: bool,
}

impl Default for MobileNetV2 {
    fn default() -> Self {
        Self { frozen_stages: frozen_parts::no_stage(), norm_eval: false }
    }
}

impl Family for MobileNetV2 {
    const SUMMARY: &'static str = "MobileNetV2 on each frame; features are averaged over frames (TSN)";
    const PAPER: &'static str = "Sandler et al. 2018";
    const WEIGHTS: &'static str = "torchvision `mobilenet_v2`";

    fn frozen_parts(&self) -> FrozenParts {
        FrozenParts { frozen_stages: self.frozen_stages, norm_eval: self.norm_eval, ..FrozenParts::default() }
    }
}

/// MobileNetV2 with temporal shift in each block that has a residual (TSM; Lin et al. 2019). Names and weights: torchvision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MobileNetV2TSM {
    /// One in `shift_div` channels moves to the frame before, and one in `shift_div` to the frame after.
    #[serde(default = "defaults::shift_div")]
    #[schemars(range(min = 2, max = 64))]
    pub shift_div: u32,
    /// The stem and this number of stages are not trained, and their batch normalisations keep their running statistics; 0 for the stem
    /// alone, -1 for none. The eighth stage is the convolution after the blocks.
    #[serde(default = "frozen_parts::no_stage", skip_serializing_if = "frozen_parts::is_no_stage")]
    #[schemars(range(min = -1, max = 8))]
    pub frozen_stages: i32,
    /// Whether all batch normalisations use their running statistics, and keep them, in training.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub norm_eval: bool,
}

impl Default for MobileNetV2TSM {
    fn default() -> Self {
        Self { shift_div: defaults::shift_div(), frozen_stages: frozen_parts::no_stage(), norm_eval: false }
    }
}

impl Family for MobileNetV2TSM {
    const SUMMARY: &'static str = "MobileNetV2 with temporal shift; logits are averaged over frames (TSM)";
    const PAPER: &'static str = "Lin et al. 2019";
    const WEIGHTS: &'static str = "torchvision `mobilenet_v2`";

    fn frozen_parts(&self) -> FrozenParts {
        FrozenParts { frozen_stages: self.frozen_stages, norm_eval: self.norm_eval, ..FrozenParts::default() }
    }
}
