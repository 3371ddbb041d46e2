//! ResNet-50 inflated to clips: I3D and SlowOnly.

use super::defaults;
use super::family::Family;
use super::frozen_parts::{self, FrozenParts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// I3D-R50 (Carreira and Zisserman 2017; Wang et al. 2018). Names: MMAction2 `i3d_r50`.
///
/// The defaults are those of MMAction2. PyTorchVideo and PySlowFast publish the same tensors for a network with
/// `conv1_stride_t: 1` and `pool1_stride_t: 1`: with the wrong strides all weights match and the results are wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResNet3d {
    /// The channels of the stem; 64 in the published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
    /// The temporal stride of the stem.
    #[serde(default = "defaults::two")]
    #[schemars(range(min = 1, max = 2))]
    pub conv1_stride_t: u32,
    /// The temporal stride of the pooling after the stem.
    #[serde(default = "defaults::two")]
    #[schemars(range(min = 1, max = 2))]
    pub pool1_stride_t: u32,
    /// The stem and this number of stages are not trained, and their batch normalisations keep their running statistics; 0 for
    /// the stem alone, -1 for none.
    #[serde(default = "frozen_parts::no_stage", skip_serializing_if = "frozen_parts::is_no_stage")]
    #[schemars(range(min = -1, max = 4))]
    pub frozen_stages: i32,
    /// Whether all batch normalisations use their running statistics, and keep them, in training.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub norm_eval: bool,
}

impl Default for ResNet3d {
    fn default() -> Self {
        Self {
            base_channels: defaults::base_channels(),
            conv1_stride_t: defaults::two(),
            pool1_stride_t: defaults::two(),
            frozen_stages: frozen_parts::no_stage(),
            norm_eval: false,
        }
    }
}

impl Family for ResNet3d {
    const SUMMARY: &'static str = "inflated ResNet-50 (I3D)";
    const PAPER: &'static str = "Carreira and Zisserman 2017";
    const WEIGHTS: &'static str = "MMAction2, PyTorchVideo and PySlowFast `i3d_r50`";

    fn frozen_parts(&self) -> FrozenParts {
        FrozenParts { frozen_stages: self.frozen_stages, norm_eval: self.norm_eval, ..FrozenParts::default() }
    }
}

/// SlowOnly-R50 (Feichtenhofer et al. 2019). Names: MMAction2 `slowonly_r50`; PyTorchVideo `slow_r50` and PySlowFast `SLOW_8x8_R50`
/// are renamed when they are loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResNet3dSlowOnly {
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

impl Default for ResNet3dSlowOnly {
    fn default() -> Self {
        Self { base_channels: defaults::base_channels(), frozen_stages: frozen_parts::no_stage(), norm_eval: false }
    }
}

impl Family for ResNet3dSlowOnly {
    const SUMMARY: &'static str = "inflated ResNet-50 without temporal stride (SlowOnly)";
    const PAPER: &'static str = "Feichtenhofer et al. 2019";
    const WEIGHTS: &'static str = "MMAction2, PyTorchVideo and PySlowFast `slow_r50`";

    fn frozen_parts(&self) -> FrozenParts {
        FrozenParts { frozen_stages: self.frozen_stages, norm_eval: self.norm_eval, ..FrozenParts::default() }
    }
}
