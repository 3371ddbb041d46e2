//! ViViT: a vision transformer on tubelets with a class token.

use super::defaults;
use super::family::Family;
use super::hidden_act::HiddenAct;
use super::image_size::ImageSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// ViViT with joint attention over space and time (Arnab et al. 2021, model 1). Names of tensors and parameters: Hugging Face
/// `VivitForVideoClassification` and its `config.json`.
///
/// Positions are a trained table, so all clips have `num_frames` frames of `image_size`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViViT {
    /// The size of the frames.
    #[serde(default)]
    pub image_size: ImageSize,
    /// The frames of a clip.
    #[serde(default = "defaults::thirty_two")]
    #[schemars(range(min = 1, max = 4096))]
    pub num_frames: u32,
    /// The frames, rows and columns of a tubelet.
    #[serde(default = "defaults::tubelet")]
    #[schemars(inner(range(min = 1, max = 256)))]
    pub tubelet_size: [u32; 3],
    /// The features of a token.
    #[serde(default = "defaults::vit_base")]
    #[schemars(range(min = 1, max = 8192))]
    pub hidden_size: u32,
    /// The number of blocks.
    #[serde(default = "defaults::twelve")]
    #[schemars(range(min = 1, max = 100))]
    pub num_hidden_layers: u32,
    /// The heads of an attention; a divisor of `hidden_size`.
    #[serde(default = "defaults::twelve")]
    #[schemars(range(min = 1, max = 256))]
    pub num_attention_heads: u32,
    /// The hidden features of a block.
    #[serde(default = "defaults::intermediate_size")]
    #[schemars(range(min = 1, max = 65536))]
    pub intermediate_size: u32,
    /// The activation of all blocks.
    #[serde(default = "defaults::gelu_fast")]
    pub hidden_act: HiddenAct,
    /// Added to the variance in all normalisations. A factor of 10 changes logits by up to 3e-5.
    #[serde(default = "defaults::layer_norm_eps")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub layer_norm_eps: f64,
    /// Whether query, key and value have biases.
    #[serde(default = "defaults::yes")]
    pub qkv_bias: bool,
}

impl Family for ViViT {
    const SUMMARY: &'static str = "vision transformer on tubelets, class token";
    const PAPER: &'static str = "Arnab et al. 2021";
    const WEIGHTS: &'static str = "Hugging Face ViViT-B 16x2";
}
