//! ResNet on single frames, without temporal modelling (TSN) and with temporal shift (TSM).

use super::defaults;
use super::family::Family;
use super::frozen_parts::{self, FrozenParts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// ResNet on each frame (TSN; Wang et al. 2016). Names and weights: torchvision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResNet {
    /// The number of layers.
    pub depth: ResNetDepth,
    /// The channels of the stem; 64 in all published weights.
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
    /// Whether all batch normalisations but the first use their running statistics, keep them, and are not trained.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial_bn: bool,
}

impl Default for ResNet {
    fn default() -> Self {
        Self {
            depth: ResNetDepth::D50,
            base_channels: defaults::base_channels(),
            frozen_stages: frozen_parts::no_stage(),
            norm_eval: false,
            partial_bn: false,
        }
    }
}

impl Family for ResNet {
    const SUMMARY: &'static str = "ResNet-18, -34, -50 or -101 on each frame; features are averaged over frames (TSN)";
    const PAPER: &'static str = "Wang et al. 2016";
    const WEIGHTS: &'static str = "torchvision `resnet18`, `resnet34`, `resnet50`, `resnet101`";

    fn frozen_parts(&self) -> FrozenParts {
        let Self { frozen_stages, norm_eval, partial_bn, .. } = *self;
        FrozenParts { frozen_stages, norm_eval, partial_bn }
    }
}

/// ResNet with temporal shift before each block's first convolution (TSM; Lin et al. 2019). Names and weights: torchvision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResNetTSM {
    /// The number of layers.
    pub depth: ResNetDepth,
    /// The channels of the stem; 64 in all published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
    /// One in `shift_div` channels moves to the frame before, and one in `shift_div` to the frame after.
    #[serde(default = "defaults::shift_div")]
    #[schemars(range(min = 2, max = 64))]
    pub shift_div: u32,
    /// The stem and this number of stages are not trained, and their batch normalisations keep their running statistics; 0 for
    /// the stem alone, -1 for none.
    #[serde(default = "frozen_parts::no_stage", skip_serializing_if = "frozen_parts::is_no_stage")]
    #[schemars(range(min = -1, max = 4))]
    pub frozen_stages: i32,
    /// Whether all batch normalisations use their running statistics, and keep them, in training.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub norm_eval: bool,
    /// Whether all batch normalisations but the first use their running statistics, keep them, and are not trained.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial_bn: bool,
}

impl Default for ResNetTSM {
    fn default() -> Self {
        Self {
            depth: ResNetDepth::D50,
            base_channels: defaults::base_channels(),
            shift_div: defaults::shift_div(),
            frozen_stages: frozen_parts::no_stage(),
            norm_eval: false,
            partial_bn: false,
        }
    }
}

impl Family for ResNetTSM {
    const SUMMARY: &'static str =
        "ResNet-18, -34, -50 or -101 with temporal shift; logits are averaged over frames (TSM)";
    const PAPER: &'static str = "Lin et al. 2019";
    const WEIGHTS: &'static str = "torchvision `resnet18`, `resnet34`, `resnet50`, `resnet101`";

    fn frozen_parts(&self) -> FrozenParts {
        let Self { frozen_stages, norm_eval, partial_bn, .. } = *self;
        FrozenParts { frozen_stages, norm_eval, partial_bn }
    }
}

/// The number of layers of a ResNet: 18, 34, 50 or 101.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(extend("type" = "integer", "enum" = [18, 34, 50, 101]))]
pub enum ResNetDepth {
    /// ResNet-18, of basic blocks.
    D18,
    /// ResNet-34, of basic blocks.
    D34,
    /// ResNet-50, of bottlenecks.
    D50,
    /// ResNet-101, of bottlenecks.
    D101,
}

impl ResNetDepth {
    /// Returns the number of blocks of each of the four stages (He et al. 2016, table 1).
    pub fn num_blocks(self) -> [usize; 4] {
        match self {
            Self::D18 => [2, 2, 2, 2],
            Self::D34 | Self::D50 => [3, 4, 6, 3],
            Self::D101 => [3, 4, 23, 3],
        }
    }

    /// Returns whether the blocks are bottlenecks, of three convolutions, and not basic blocks, of two.
    pub fn has_bottlenecks(self) -> bool {
        match self {
            Self::D18 | Self::D34 => false,
            Self::D50 | Self::D101 => true,
        }
    }
}

impl TryFrom<u32> for ResNetDepth {
    type Error = String;

    fn try_from(depth: u32) -> Result<Self, String> {
        match depth {
            18 => Ok(Self::D18),
            34 => Ok(Self::D34),
            50 => Ok(Self::D50),
            101 => Ok(Self::D101),
            other => Err(format!("ResNet-{other} is not supported; use 18, 34, 50 or 101")),
        }
    }
}

impl From<ResNetDepth> for u32 {
    fn from(depth: ResNetDepth) -> Self {
        match depth {
            ResNetDepth::D18 => 18,
            ResNetDepth::D34 => 34,
            ResNetDepth::D50 => 50,
            ResNetDepth::D101 => 101,
        }
    }
}
