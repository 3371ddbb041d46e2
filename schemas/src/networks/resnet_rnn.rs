//! ResNet on single frames, followed by LSTM or GRU.

use super::defaults;
use super::family::Family;
use super::resnet::ResNetDepth;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// ResNet features of each frame, read by an LSTM or GRU (Donahue et al. 2015). There are no published weights; those of torchvision fit
/// the ResNet, as `cnn.*`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResNetRNN {
    /// The number of layers of the ResNet.
    pub depth: ResNetDepth,
    /// The channels of the stem; 64 in all published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
    /// LSTM or GRU.
    #[serde(default)]
    pub cell: RecurrentCell,
    /// The size of the state of a layer and direction.
    #[serde(default = "defaults::hidden_size")]
    #[schemars(range(min = 1, max = 4096))]
    pub hidden_size: u32,
    /// The number of recurrent layers.
    #[serde(default = "defaults::one")]
    #[schemars(range(min = 1, max = 4))]
    pub num_layers: u32,
    /// Whether each layer also reads the frames from the last to the first.
    #[serde(default)]
    pub bidirectional: bool,
}

impl Family for ResNetRNN {
    const SUMMARY: &'static str = "ResNet on each frame, then LSTM or GRU over the frames";
    const PAPER: &'static str = "Donahue et al. 2015";
    const WEIGHTS: &'static str = "torchvision `resnet18` to `resnet101` for the ResNet";
}

/// The kind of a recurrent network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecurrentCell {
    /// Long short-term memory.
    #[default]
    Lstm,
    /// Gated recurrent unit.
    Gru,
}
