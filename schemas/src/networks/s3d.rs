//! S3D: Inception V1 with separable 3-D convolutions.

use super::defaults;
use super::family::Family;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// S3D (Xie et al. 2018). Names and weights: torchvision `s3d`. Clips have at least 13 frames of at least 209 pixels, because
/// features are pooled with a window of 2x7x7.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3D {
    /// The channels of the stem, which all other widths follow; 64 in the published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
}

impl Family for S3D {
    const SUMMARY: &'static str = "Inception V1 with convolutions factorised in space and time";
    const PAPER: &'static str = "Xie et al. 2018";
    const WEIGHTS: &'static str = "torchvision `s3d`";
}
