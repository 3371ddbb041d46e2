//! VideoMAE: a vision transformer on tubelets.

use super::defaults;
use super::family::Family;
use super::image_size::ImageSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The vision transformer of VideoMAE (Tong et al. 2022) with mean pooling. Names: MMAction2 `vit-base-p16_videomae`; the original
/// and Hugging Face are renamed when they are loaded.
///
/// ViT-S has `embed_dims: 384, num_heads: 6`; ViT-B the defaults; ViT-L `embed_dims: 1024, depth: 24, num_heads: 16`. Positions are a
/// constant table for `num_frames` and `img_size`. For frames of another size it is resized, bicubic; shorter clips use its first
/// frames. Pixels and frames that do not fill a tubelet are cut off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VisionTransformer {
    /// The size of the frames that the positions are made for.
    #[serde(default)]
    pub img_size: ImageSize,
    /// The side of a patch in pixels.
    #[serde(default = "defaults::sixteen")]
    #[schemars(range(min = 1, max = 256))]
    pub patch_size: u32,
    /// The features of a token.
    #[serde(default = "defaults::vit_base")]
    #[schemars(range(min = 1, max = 8192))]
    pub embed_dims: u32,
    /// The number of blocks.
    #[serde(default = "defaults::twelve")]
    #[schemars(range(min = 1, max = 100))]
    pub depth: u32,
    /// The heads of an attention; a divisor of `embed_dims`.
    #[serde(default = "defaults::twelve")]
    #[schemars(range(min = 1, max = 256))]
    pub num_heads: u32,
    /// The hidden features of a block, as a multiple of `embed_dims`.
    #[serde(default = "defaults::mlp_ratio")]
    #[schemars(range(min = 0.1, max = 16.0))]
    pub mlp_ratio: f64,
    /// The frames of the clips that the positions are made for, which is the largest number of frames of a clip.
    #[serde(default = "defaults::sixteen")]
    #[schemars(range(min = 1, max = 4096))]
    pub num_frames: u32,
    /// The frames of a tubelet.
    #[serde(default = "defaults::two")]
    #[schemars(range(min = 1, max = 64))]
    pub tubelet_size: u32,
    /// The probability that training leaves out the last block; it grows linearly from 0 at the first one.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub drop_path_rate: f64,
    /// Added to the variance in the normalisations of the blocks: 1e-6 in the original and MMAction2, 1e-12 in Hugging Face.
    #[serde(default = "defaults::layer_norm_eps")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub layer_norm_eps: f64,
    /// Added to the variance in the normalisation before the classifier: 1e-6 in the original and MMAction2, 1e-5 in Hugging Face.
    #[serde(default = "defaults::layer_norm_eps")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub fc_norm_eps: f64,
}

impl Family for VisionTransformer {
    const SUMMARY: &'static str = "VideoMAE: vision transformer on tubelets, mean of all tokens";
    const PAPER: &'static str = "Tong et al. 2022";
    const WEIGHTS: &'static str = "MMAction2, the original and Hugging Face VideoMAE ViT-S, B and L";
}
