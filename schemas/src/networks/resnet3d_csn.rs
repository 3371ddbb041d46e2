//! CSN: a 3-D ResNet whose convolutions over space and time are depthwise.

use super::defaults;
use super::family::Family;
use super::frozen_parts::{self, FrozenParts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter};

/// CSN (Tran et al. 2019). Names: MMAction2 `ircsn_r50`, `ircsn_r152`, `ipcsn_r152`; PyTorchVideo `csn_r101` is renamed when it is
/// loaded, and needs `norm_eps: 1e-5`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResNet3dCSN {
    /// The number of layers.
    pub depth: CsnDepth,
    /// What replaces the 3 x 3 x 3 convolution of a bottleneck. Default: `ir`.
    #[serde(default)]
    pub bottleneck_mode: BottleneckMode,
    /// The channels of the stem; 64 in the published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
    /// Added to the variance in batch normalisations. Default: 0.001.
    #[serde(default = "norm_eps")]
    #[schemars(range(min = 1e-12, max = 0.1))]
    pub norm_eps: f64,
    /// The stem and this number of stages are not trained, and their batch normalisations keep their running statistics; 0 for
    /// the stem alone, -1 for none.
    #[serde(default = "frozen_parts::no_stage", skip_serializing_if = "frozen_parts::is_no_stage")]
    #[schemars(range(min = -1, max = 4))]
    pub frozen_stages: i32,
    /// Whether all batch normalisations use their running statistics, and keep them, in training.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub norm_eval: bool,
}

impl Family for ResNet3dCSN {
    const SUMMARY: &'static str = "3-D ResNet-50, -101 or -152 with depthwise convolutions (CSN)";
    const PAPER: &'static str = "Tran et al. 2019";
    const WEIGHTS: &'static str = "MMAction2 `ircsn_r50`, `ircsn_r152`, `ipcsn_r152`; PyTorchVideo `csn_r101`";

    fn frozen_parts(&self) -> FrozenParts {
        FrozenParts { frozen_stages: self.frozen_stages, norm_eval: self.norm_eval, ..FrozenParts::default() }
    }
}

/// What replaces the 3 x 3 x 3 convolution of a bottleneck.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BottleneckMode {
    /// Interaction-reduced: a depthwise convolution.
    #[default]
    Ir,
    /// Interaction-preserved: a convolution of size 1, and a depthwise one.
    Ip,
}

impl Display for BottleneckMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ir => "ir",
            Self::Ip => "ip",
        })
    }
}

/// The number of layers of a CSN: 50, 101 or 152.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(extend("type" = "integer", "enum" = [50, 101, 152]))]
pub enum CsnDepth {
    /// CSN-50.
    D50,
    /// CSN-101.
    D101,
    /// CSN-152.
    D152,
}

impl CsnDepth {
    /// Returns the number of blocks of each of the four stages (Tran et al. 2019, table 1; MMAction2 for 50 layers).
    pub fn num_blocks(self) -> [usize; 4] {
        match self {
            Self::D50 => [3, 4, 6, 3],
            Self::D101 => [3, 4, 23, 3],
            Self::D152 => [3, 8, 36, 3],
        }
    }
}

impl TryFrom<u32> for CsnDepth {
    type Error = String;

    fn try_from(depth: u32) -> Result<Self, String> {
        match depth {
            50 => Ok(Self::D50),
            101 => Ok(Self::D101),
            152 => Ok(Self::D152),
            other => Err(format!("CSN-{other} is not supported; use 50, 101 or 152")),
        }
    }
}

impl From<CsnDepth> for u32 {
    fn from(depth: CsnDepth) -> Self {
        match depth {
            CsnDepth::D50 => 50,
            CsnDepth::D101 => 101,
            CsnDepth::D152 => 152,
        }
    }
}

fn norm_eps() -> f64 {
    1e-3
}
