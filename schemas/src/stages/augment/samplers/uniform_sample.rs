//! [`UniformSample`].

use super::{SamplerParams, one};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Divides the video into `clip_len` equal parts and takes one frame of each: a random one in training, fixed ones in testing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UniformSample {
    /// Number of frames of a clip.
    #[schemars(range(min = 1, max = 1024))]
    pub clip_len: u32,
    /// Number of clips per video in testing; training takes one.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub num_clips: u32,
}

impl SamplerParams for UniformSample {}
