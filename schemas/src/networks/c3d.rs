//! C3D: a plain 3-D network with three fully connected layers.

use super::defaults;
use super::family::Family;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// C3D (Tran et al. 2015). Names and weights: MMAction2 `c3d_sports1m`. Its input are pixels from 0 to 255 minus a mean.
///
/// The first fully connected layer fixes the size of clips: 16 to 31 frames of 96 to 127 pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct C3D {
    /// The channels of the stem; 64 in the published weights.
    #[serde(default = "defaults::base_channels")]
    #[schemars(range(min = 4, max = 256))]
    pub base_channels: u32,
    /// The features of both hidden fully connected layers; 4096 in the published weights.
    #[serde(default = "defaults::fc_channels")]
    #[schemars(range(min = 8, max = 8192))]
    pub fc_channels: u32,
}

impl Family for C3D {
    const SUMMARY: &'static str = "eight 3x3x3 convolutions with bias and two hidden fully connected layers";
    const PAPER: &'static str = "Tran et al. 2015";
    const WEIGHTS: &'static str = "MMAction2 `c3d`";
}
