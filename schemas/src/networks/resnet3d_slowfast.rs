//! SlowFast: two inflated ResNets at different frame rates.

use super::defaults;
use super::family::Family;
use super::frozen_parts::{self, FrozenParts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// SlowFast-R50 (Feichtenhofer et al. 2019). Names: MMAction2 `slowfast_r50`.
///
/// The published pairs are `resample_rate: 8, speed_ratio: 8, fusion_kernel: 5` (4x16) and `resample_rate: 4, speed_ratio: 4,
/// fusion_kernel: 7` (8x8). The number of frames of a clip is a multiple of `resample_rate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResNet3dSlowFast {
    /// The channels of the stem; 64 in the published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
    /// The slow pathway sees one in `resample_rate` frames of a clip (τ).
    #[serde(default = "defaults::eight")]
    #[schemars(range(min = 1, max = 64))]
    pub resample_rate: u32,
    /// The ratio between the frames of the fast pathway and those of the slow one (α).
    #[serde(default = "defaults::eight")]
    #[schemars(range(min = 1, max = 64))]
    pub speed_ratio: u32,
    /// The ratio between the channels of the slow pathway and those of the fast one (1/β).
    #[serde(default = "defaults::eight")]
    #[schemars(range(min = 1, max = 64))]
    pub channel_ratio: u32,
    /// The temporal size of the convolutions that lead from the fast pathway to the slow one; odd.
    #[serde(default = "defaults::five")]
    #[schemars(range(min = 1, max = 15))]
    pub fusion_kernel: u32,
    /// Whose form of the network it is. The forms differ in results, so weights fit one of them only.
    #[serde(default)]
    pub form: SlowFastForm,
    /// The stem and this number of stages of both pathways are not trained, and their batch normalisations keep their running statistics;
    /// 0 for the stem alone, -1 for none.
    #[serde(default = "frozen_parts::no_stage", skip_serializing_if = "frozen_parts::is_no_stage")]
    #[schemars(range(min = -1, max = 4))]
    pub frozen_stages: i32,
    /// Whether all batch normalisations use their running statistics, and keep them, in training.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub norm_eval: bool,
}

impl Family for ResNet3dSlowFast {
    const SUMMARY: &'static str = "slow and fast pathway with lateral connections";
    const PAPER: &'static str = "Feichtenhofer et al. 2019";
    const WEIGHTS: &'static str = "MMAction2, PyTorchVideo and PySlowFast `slowfast_r50`";

    fn frozen_parts(&self) -> FrozenParts {
        FrozenParts { frozen_stages: self.frozen_stages, norm_eval: self.norm_eval, ..FrozenParts::default() }
    }
}

/// Whose form of SlowFast a network has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SlowFastForm {
    /// MMAction2: the laterals are convolutions alone, the slow pathway takes every `resample_rate`-th frame, and the classifier reads
    /// the fast features first.
    #[default]
    Mmaction2,
    /// PyTorchVideo and PySlowFast: the laterals have batch normalisation and ReLU, the slow frames are spread evenly from the first to the
    /// last one, and the classifier reads the slow features first.
    Pytorchvideo,
}

/// The word of the parameter.
impl fmt::Display for SlowFastForm {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(match self {
            Self::Mmaction2 => "mmaction2",
            Self::Pytorchvideo => "pytorchvideo",
        })
    }
}
