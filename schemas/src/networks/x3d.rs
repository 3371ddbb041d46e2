//! X3D: a small 3-D network with depthwise convolutions and squeeze-and-excitation.

use super::defaults;
use super::family::Family;
use super::frozen_parts::{self, FrozenParts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// X3D (Feichtenhofer 2020). Names: MMAction2 `x3d_s`; PySlowFast and PyTorchVideo are renamed when they are loaded. S and M differ in
/// clips only; L has `gamma_d: 5`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct X3D {
    /// The channels of the stem; 24 in the published weights.
    #[serde(default = "defaults::twenty_four")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
    /// The factor of the channels inside a block.
    #[serde(default = "defaults::gamma_b")]
    #[schemars(range(min = 1.0, max = 8.0))]
    pub gamma_b: f64,
    /// The factor of the number of blocks: 2.2 for X3D-S and -M, 5 for X3D-L.
    #[serde(default = "defaults::gamma_d")]
    #[schemars(range(min = 1.0, max = 10.0))]
    pub gamma_d: f64,
    /// The hidden features of the head; 2048 in the published weights.
    #[serde(default = "defaults::fc1_channels")]
    #[schemars(range(min = 8, max = 8192))]
    pub fc1_channels: u32,
    /// The stem and this number of stages are not trained, and their batch normalisations keep their running statistics; 0 for
    /// the stem alone, -1 for none.
    #[serde(default = "frozen_parts::no_stage", skip_serializing_if = "frozen_parts::is_no_stage")]
    #[schemars(range(min = -1, max = 4))]
    pub frozen_stages: i32,
    /// Whether all batch normalisations use their running statistics, and keep them, in training.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub norm_eval: bool,
}

impl Default for X3D {
    fn default() -> Self {
        Self {
            base_channels: defaults::twenty_four(),
            gamma_b: defaults::gamma_b(),
            gamma_d: defaults::gamma_d(),
            fc1_channels: defaults::fc1_channels(),
            frozen_stages: frozen_parts::no_stage(),
            norm_eval: false,
        }
    }
}

impl Family for X3D {
    const SUMMARY: &'static str = "depthwise 3x3x3 convolutions with squeeze-and-excitation";
    const PAPER: &'static str = "Feichtenhofer 2020";
    const WEIGHTS: &'static str = "MMAction2, PyTorchVideo and PySlowFast `x3d_s`";

    fn frozen_parts(&self) -> FrozenParts {
        FrozenParts { frozen_stages: self.frozen_stages, norm_eval: self.norm_eval, ..FrozenParts::default() }
    }
}
