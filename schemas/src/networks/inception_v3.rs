//! Inception V3 on single frames.

use super::defaults;
use super::family::Family;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Inception V3 on each frame (TSN; Wang et al. 2016). Names and weights: torchvision. Frames have at least 75x75 pixels; the published
/// weights are for 299x299.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InceptionV3 {
    /// The channels of the stem; 32 in the published weights.
    #[serde(default = "defaults::thirty_two")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
    /// Whether normalised pixels are normalised again, to a mean and deviation of 0.5, which the published weights need.
    #[serde(default = "defaults::yes")]
    pub transform_input: bool,
    /// Whether training adds the loss of a second classifier on an inner layer, which the published weights have.
    #[serde(default = "defaults::yes")]
    pub aux_logits: bool,
    /// The factor of the second classifier's loss.
    #[serde(default = "defaults::aux_loss_weight")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub aux_loss_weight: f64,
}

impl Family for InceptionV3 {
    const SUMMARY: &'static str = "Inception V3 on each frame; features are averaged over frames (TSN)";
    const PAPER: &'static str = "Szegedy et al. 2016";
    const WEIGHTS: &'static str = "torchvision `inception_v3`";
}
