//! [`FrozenParts`]: the parts of a backbone that are not trained, with the names of MMAction2.

use super::Backbone;
use serde::Serialize;

/// The parts of a backbone that are not trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FrozenParts {
    /// The stem and this number of stages are not trained, and compute as at inference; -1 for none.
    pub frozen_stages: i32,
    /// Whether all batch normalisations use their running statistics and keep them.
    pub norm_eval: bool,
    /// Whether all batch normalisations but the first use their running statistics, keep them, and are not trained.
    pub partial_bn: bool,
}

impl Default for FrozenParts {
    fn default() -> Self {
        Self { frozen_stages: NO_STAGE, norm_eval: false, partial_bn: false }
    }
}

/// The value of `frozen_stages` for none.
const NO_STAGE: i32 = -1;

/// The default of `frozen_stages`.
pub(super) fn no_stage() -> i32 {
    NO_STAGE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_no_stage(frozen_stages: &i32) -> bool {
    *frozen_stages == NO_STAGE
}

impl Backbone {
    /// Returns the parts that are not trained.
    pub fn frozen_parts(&self) -> FrozenParts {
        match self {
            Self::ResNet(net) => {
                FrozenParts { frozen_stages: net.frozen_stages, norm_eval: net.norm_eval, partial_bn: net.partial_bn }
            }
            Self::ResNetTSM(net) => {
                FrozenParts { frozen_stages: net.frozen_stages, norm_eval: net.norm_eval, partial_bn: net.partial_bn }
            }
            Self::MobileNetV2(net) => stages(net.frozen_stages, net.norm_eval),
            Self::MobileNetV2TSM(net) => stages(net.frozen_stages, net.norm_eval),
            Self::ResNet3dCSN(net) => stages(net.frozen_stages, net.norm_eval),
            Self::ResNet3d(net) => stages(net.frozen_stages, net.norm_eval),
            Self::ResNet3dSlowOnly(net) => stages(net.frozen_stages, net.norm_eval),
            Self::ResNet3dSlowFast(net) => stages(net.frozen_stages, net.norm_eval),
            Self::ResNet2Plus1d(net) => stages(net.frozen_stages, net.norm_eval),
            Self::X3D(net) => stages(net.frozen_stages, net.norm_eval),
            Self::SwinTransformer3D(net) => stages(net.frozen_stages, false),
            Self::R3D(_)
            | Self::MC3(_)
            | Self::R2Plus1D(_)
            | Self::ResNetRNN(_)
            | Self::C3D(_)
            | Self::S3D(_)
            | Self::InceptionV3(_)
            | Self::MViT(_)
            | Self::VisionTransformer(_)
            | Self::TimeSformer(_)
            | Self::VJEPA2(_)
            | Self::ViViT(_) => FrozenParts::default(),
        }
    }
}

fn stages(frozen_stages: i32, norm_eval: bool) -> FrozenParts {
    FrozenParts { frozen_stages, norm_eval, partial_bn: false }
}
