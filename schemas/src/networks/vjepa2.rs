//! V-JEPA 2: a vision transformer with rotary positions, and an attentive pooler.

use super::defaults;
use super::family::Family;
use super::hidden_act::HiddenAct;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// V-JEPA 2 (Assran et al. 2025): encoder, attentive pooler and classifier. Names of tensors and parameters: Hugging Face
/// `VJEPA2ForVideoClassification` and its `config.json`; the original is renamed when it is loaded.
///
/// ViT-L has the defaults; ViT-H `hidden_size: 1280, num_hidden_layers: 32`; ViT-g `hidden_size: 1408, num_hidden_layers: 40,
/// num_attention_heads: 22, mlp_ratio: 4.363636363636363`. Clips have at least `tubelet_size` frames of at least one patch; pixels
/// and frames that do not fill a tubelet are cut off. The predictor of the published files is not part of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VJEPA2 {
    /// The side of the frames that the network was trained on, in pixels.
    #[serde(default = "defaults::crop_size")]
    #[schemars(range(min = 1, max = 4096))]
    pub crop_size: u32,
    /// The side of a patch in pixels.
    #[serde(default = "defaults::sixteen")]
    #[schemars(range(min = 1, max = 256))]
    pub patch_size: u32,
    /// The frames of the clips that the network was trained on; clips of other lengths work as well.
    #[serde(default = "defaults::sixty_four")]
    #[schemars(range(min = 1, max = 4096))]
    pub frames_per_clip: u32,
    /// The frames of a tubelet.
    #[serde(default = "defaults::two")]
    #[schemars(range(min = 1, max = 64))]
    pub tubelet_size: u32,
    /// The features of a token.
    #[serde(default = "defaults::vit_large")]
    #[schemars(range(min = 1, max = 8192))]
    pub hidden_size: u32,
    /// The heads of an attention; a divisor of `hidden_size`.
    #[serde(default = "defaults::sixteen")]
    #[schemars(range(min = 1, max = 256))]
    pub num_attention_heads: u32,
    /// The number of blocks of the encoder.
    #[serde(default = "defaults::twenty_four")]
    #[schemars(range(min = 1, max = 100))]
    pub num_hidden_layers: u32,
    /// The hidden features of a block of the encoder, as a multiple of `hidden_size`; always 4 in the pooler.
    #[serde(default = "defaults::mlp_ratio")]
    #[schemars(range(min = 0.1, max = 16.0))]
    pub mlp_ratio: f64,
    /// Added to the variance in all normalisations.
    #[serde(default = "defaults::layer_norm_eps")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub layer_norm_eps: f64,
    /// Whether query, key and value of the encoder have biases.
    #[serde(default = "defaults::yes")]
    pub qkv_bias: bool,
    /// The activation of all blocks.
    #[serde(default = "defaults::gelu")]
    pub hidden_act: HiddenAct,
    /// The probability that training leaves out the last block of the encoder; it grows linearly from 0 at the first one.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub drop_path_rate: f64,
    /// The number of self-attention layers of the pooler.
    #[serde(default = "defaults::three")]
    #[schemars(range(min = 0, max = 32))]
    pub num_pooler_layers: u32,
    /// The heads of an attention of the pooler. Default: `num_attention_heads`. The original has 16 for every encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub num_pooler_heads: Option<u32>,
    /// Added to the variance in the normalisations of the pooler. Default: `layer_norm_eps`. The original has 1e-5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pooler_layer_norm_eps: Option<f64>,
    /// Which grid the positions of the tokens are counted on.
    #[serde(default)]
    pub position_grid: PositionGrid,
}

impl Family for VJEPA2 {
    const SUMMARY: &'static str = "vision transformer with rotary positions, attentive pooler";
    const PAPER: &'static str = "Assran et al. 2025";
    const WEIGHTS: &'static str = "Hugging Face and the original V-JEPA 2 ViT-L, H and g";
}

/// Which grid the positions of the tokens are counted on. For clips of `crop_size` both are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PositionGrid {
    /// The grid of frames of `crop_size`, whatever the size of the clip (Hugging Face).
    #[default]
    CropSize,
    /// The grid of the clip (the original repository).
    Clip,
}
