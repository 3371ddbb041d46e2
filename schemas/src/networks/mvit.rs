//! MViT: attention with pooled queries, keys and values, at a resolution that shrinks while the channels grow.

use super::defaults;
use super::family::Family;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// MViT (Fan et al. 2021; Li et al. 2022). Names: torchvision `mvit_v2_s`, `mvit_v1_b`; MMAction2 and PySlowFast are renamed when they
/// are loaded.
///
/// The default is MViTv2-S; `version: v1` is MViTv1-B. Clips of any size fit: the tables of positions are made for clips of
/// `temporal_size` and `spatial_size`, and resized linearly for others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MViT {
    /// Whose architecture it is.
    #[serde(default)]
    pub version: MViTVersion,
    /// The channels of the first blocks; they double at each of `downscale_indices`.
    #[serde(default = "embed_dims")]
    #[schemars(range(min = 4, max = 512))]
    pub embed_dims: u32,
    /// The attention heads of the first blocks, which divide the channels; they double at each of `downscale_indices`.
    #[serde(default = "defaults::one")]
    #[schemars(range(min = 1, max = 16))]
    pub num_heads: u32,
    /// The number of blocks.
    #[serde(default = "num_layers")]
    #[schemars(range(min = 1, max = 64))]
    pub num_layers: u32,
    /// The blocks, counted from 0, that halve rows and columns; in ascending order.
    #[serde(default = "downscale_indices")]
    #[schemars(length(max = 6), inner(range(min = 1, max = 63)))]
    pub downscale_indices: Vec<u32>,
    /// The number of frames that the tables of positions are made for.
    #[serde(default = "temporal_size")]
    #[schemars(range(min = 1, max = 256))]
    pub temporal_size: u32,
    /// The rows and columns of pixels that the tables of positions are made for.
    #[serde(default = "spatial_size")]
    #[schemars(inner(range(min = 32, max = 1024)))]
    pub spatial_size: [u32; 2],
    /// The probability that a sample skips the last block in training; it grows linearly from 0 at the first block.
    #[serde(default = "drop_path_rate")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub drop_path_rate: f64,
}

impl Family for MViT {
    const SUMMARY: &'static str = "attention with pooled keys and values, at shrinking resolution";
    const PAPER: &'static str = "Fan et al. 2021, Li et al. 2022";
    const WEIGHTS: &'static str =
        "torchvision `mvit_v1_b`, `mvit_v2_s`; MMAction2 `mvit_small`; PySlowFast `MVIT_B_16x4`, `MVITv2_S_16x4`";
}

/// The architectures of MViT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MViTVersion {
    /// MViTv1: positions are added to the patches, queries are pooled in the blocks that shrink the resolution, and channels grow in the
    /// MLP of the block before.
    V1,
    /// MViTv2: attention depends on relative positions, pooled queries are added to its result, and channels grow in the attention.
    #[default]
    V2,
}

fn embed_dims() -> u32 {
    96
}

fn num_layers() -> u32 {
    16
}

fn downscale_indices() -> Vec<u32> {
    vec![1, 3, 14]
}

fn temporal_size() -> u32 {
    16
}

fn spatial_size() -> [u32; 2] {
    [224; 2]
}

fn drop_path_rate() -> f64 {
    0.2
}
