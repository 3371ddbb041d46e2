//! [`UniformSampleFrames`].

use super::{SamplerParams, one};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Divides the video into `clip_len` equal parts and takes a random frame of each, in testing as well. MMAction2's networks for
/// poses use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UniformSampleFrames {
    /// Number of frames of a clip.
    #[schemars(range(min = 1, max = 1024))]
    pub clip_len: u32,
    /// Number of clips per video.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub num_clips: u32,
    /// Seed of the draws in testing. They are those of `NumPy`, so that test clips have the same frames as in MMAction2.
    #[serde(default = "seed")]
    pub seed: u32,
}

fn seed() -> u32 {
    255
}

impl SamplerParams for UniformSampleFrames {}
