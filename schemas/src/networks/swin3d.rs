//! Video Swin: attention within windows that shift from block to block.

use super::family::Family;
use super::frozen_parts::{self, FrozenParts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Video Swin (Liu et al. 2022). Names: torchvision `swin3d_t`; MMAction2 is renamed when it is loaded.
///
/// The default is Swin3D-T. Swin3D-S has `depths: [2, 2, 18, 2]`; Swin3D-B has in addition `embed_dims: 128` and
/// `num_heads: [4, 8, 16, 32]`. Clips of any size fit: frames, rows and columns are padded to whole patches and windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwinTransformer3D {
    /// The channels of the first stage; each further stage has twice as many.
    #[serde(default = "embed_dims")]
    #[schemars(range(min = 4, max = 512))]
    pub embed_dims: u32,
    /// The number of blocks of each stage.
    #[serde(default = "depths")]
    #[schemars(inner(range(min = 1, max = 64)))]
    pub depths: [u32; 4],
    /// The number of attention heads of each stage; they divide the channels of the stage.
    #[serde(default = "num_heads")]
    #[schemars(inner(range(min = 1, max = 128)))]
    pub num_heads: [u32; 4],
    /// The frames, rows and columns of a patch.
    #[serde(default = "patch_size")]
    #[schemars(inner(range(min = 1, max = 32)))]
    pub patch_size: [u32; 3],
    /// The frames, rows and columns of a window, in patches.
    #[serde(default = "window_size")]
    #[schemars(inner(range(min = 1, max = 32)))]
    pub window_size: [u32; 3],
    /// The probability that a sample skips the last block in training; it grows linearly from 0 at the first block.
    #[serde(default = "drop_path_rate")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub drop_path_rate: f64,
    /// The embedding of patches and this number of stages are not trained, and compute as at inference; 0 for the embedding alone, -1 for
    /// none.
    #[serde(default = "frozen_parts::no_stage", skip_serializing_if = "frozen_parts::is_no_stage")]
    #[schemars(range(min = -1, max = 4))]
    pub frozen_stages: i32,
}

impl Family for SwinTransformer3D {
    const SUMMARY: &'static str = "attention within shifted windows (Video Swin)";
    const PAPER: &'static str = "Liu et al. 2022";
    const WEIGHTS: &'static str =
        "torchvision `swin3d_t`, `swin3d_s`, `swin3d_b`; MMAction2 `swin_tiny`, `swin_small`, `swin_base`";

    fn frozen_parts(&self) -> FrozenParts {
        FrozenParts { frozen_stages: self.frozen_stages, ..FrozenParts::default() }
    }
}

fn embed_dims() -> u32 {
    96
}

fn depths() -> [u32; 4] {
    [2, 2, 6, 2]
}

fn num_heads() -> [u32; 4] {
    [3, 6, 12, 24]
}

fn patch_size() -> [u32; 3] {
    [2, 4, 4]
}

fn window_size() -> [u32; 3] {
    [8, 7, 7]
}

fn drop_path_rate() -> f64 {
    0.1
}
