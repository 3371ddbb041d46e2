//! The networks of the zoo: the parameters under `model:` of `train`. Start at [`ModelParams`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network of the zoo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelParams {
    /// What turns pixels into features.
    pub backbone: Backbone,
    /// What turns features into logits.
    pub cls_head: ClsHead,
    /// How pixels are normalised before.
    pub data_preprocessor: DataPreprocessor,
}

/// What turns pixels into features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Backbone {
    /// ResNet on each frame (TSN; Wang et al. 2016). Names and weights: torchvision.
    ResNet {
        /// Layers.
        depth: ResNetDepth,
        /// Channels of the stem; 64 in all published weights.
        #[serde(default = "channels_64")]
        #[schemars(range(min = 4, max = 256))]
        base_channels: u32,
    },
    /// ResNet with temporal shift before each block's first convolution (TSM; Lin et al. 2019).
    ResNetTSM {
        /// Layers.
        depth: ResNetDepth,
        /// Channels of the stem; 64 in all published weights.
        #[serde(default = "channels_64")]
        #[schemars(range(min = 4, max = 256))]
        base_channels: u32,
        /// One channel in so many moves in each direction.
        #[serde(default = "shift_div")]
        #[schemars(range(min = 2, max = 64))]
        shift_div: u32,
    },
    /// MobileNetV2 on each frame (Sandler et al. 2018). Names and weights: torchvision.
    MobileNetV2 {},
    /// MobileNetV2 with temporal shift in each block that has a residual.
    #[serde(rename = "MobileNetV2TSM")]
    MobileNetV2Tsm {
        /// One channel in so many moves in each direction.
        #[serde(default = "shift_div")]
        #[schemars(range(min = 2, max = 64))]
        shift_div: u32,
    },
    /// R3D-18 (Tran et al. 2018). Names and weights: torchvision `r3d_18`.
    R3D {
        /// Channels of the stem; 64 in the published weights.
        #[serde(default = "channels_64")]
        #[schemars(range(min = 4, max = 256))]
        base_channels: u32,
    },
}

/// Layers of a ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(extend("type" = "integer", "enum" = [18, 50]))]
pub enum ResNetDepth {
    /// Basic blocks.
    D18,
    /// Bottlenecks.
    D50,
}

impl TryFrom<u32> for ResNetDepth {
    type Error = String;

    fn try_from(depth: u32) -> Result<Self, String> {
        match depth {
            18 => Ok(Self::D18),
            50 => Ok(Self::D50),
            other => Err(format!("no ResNet-{other}; 18 or 50")),
        }
    }
}

impl From<ResNetDepth> for u32 {
    fn from(depth: ResNetDepth) -> Self {
        match depth {
            ResNetDepth::D18 => 18,
            ResNetDepth::D50 => 50,
        }
    }
}

/// What turns features into logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClsHead {
    /// Classes; leave it out to take the number in the labels. A number that differs from theirs is an error.
    pub num_classes: Option<u32>,
    /// Share of features zeroed while training.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout_ratio: f64,
    /// Standard deviation of the classifier's initial weights.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub init_std: f64,
    /// How the views of a video are averaged.
    pub average_clips: AverageClips,
}

/// How the views of a video are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AverageClips {
    /// The mean of probabilities.
    Prob,
    /// The mean of logits.
    Score,
}

/// How pixels (0 to 255, RGB) are normalised: `(x - mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataPreprocessor {
    /// By channel.
    pub mean: [f64; 3],
    /// By channel.
    pub std: [f64; 3],
}

fn channels_64() -> u32 {
    64
}

fn shift_div() -> u32 {
    8
}

impl Default for ModelParams {
    fn default() -> Self {
        Self {
            backbone: Backbone::ResNet { depth: ResNetDepth::D50, base_channels: 64 },
            cls_head: ClsHead::default(),
            data_preprocessor: DataPreprocessor::default(),
        }
    }
}

impl Default for ClsHead {
    fn default() -> Self {
        Self { num_classes: None, dropout_ratio: 0.4, init_std: 0.01, average_clips: AverageClips::Prob }
    }
}

/// ImageNet's constants, as torchvision and MMAction2 use them.
impl Default for DataPreprocessor {
    fn default() -> Self {
        Self { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] }
    }
}
