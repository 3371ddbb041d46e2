//! TimeSformer: a vision transformer with attention over time.

use super::defaults;
use super::family::Family;
use super::image_size::ImageSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TimeSformer (Bertasius et al. 2021). Names: the original repository; MMAction2 and Hugging Face are renamed when they are loaded.
///
/// Positions are trained tables for `num_frames` and `img_size`. For clips of another size they are resized to the nearest position,
/// as the original does. Pixels that do not fill a patch are cut off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeSformer {
    /// What an attention sees.
    #[serde(default)]
    pub attention_type: TimeSformerAttention,
    /// The frames of the clips that the positions in time are made for.
    #[serde(default = "defaults::eight")]
    #[schemars(range(min = 1, max = 4096))]
    pub num_frames: u32,
    /// The size of the frames that the positions in space are made for.
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
    /// The heads of an attention; a divisor of `embed_dims`.
    #[serde(default = "defaults::twelve")]
    #[schemars(range(min = 1, max = 256))]
    pub num_heads: u32,
    /// The number of blocks.
    #[serde(default = "defaults::twelve")]
    #[schemars(range(min = 1, max = 100))]
    pub num_transformer_layers: u32,
    /// The probability that training leaves out the last block for a clip; it grows linearly from 0 at the first one.
    #[serde(default = "defaults::drop_path_rate")]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub drop_path_rate: f64,
    /// Added to the variance in all normalisations.
    #[serde(default = "defaults::layer_norm_eps")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub layer_norm_eps: f64,
}

impl Family for TimeSformer {
    const SUMMARY: &'static str = "vision transformer with attention over time and space";
    const PAPER: &'static str = "Bertasius et al. 2021";
    const WEIGHTS: &'static str = "the original, MMAction2 and Hugging Face TimeSformer";
}

/// What an attention of TimeSformer sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeSformerAttention {
    /// First the frames at the same position, then the patches of the same frame.
    #[default]
    DividedSpaceTime,
    /// All patches of all frames.
    JointSpaceTime,
    /// The patches of the same frame; the result is the mean over the frames.
    SpaceOnly,
}
