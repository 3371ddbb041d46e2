//! [`UntrimmedSampleFrames`].

use super::{SamplerParams, one};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Slides a window over the whole video and makes each position a view of its own; for testing on long videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UntrimmedSampleFrames {
    /// Number of frames of a window.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub clip_len: u32,
    /// Distance between the middles of two windows, in stored frames.
    #[serde(default = "clip_interval")]
    #[schemars(range(min = 1, max = 100_000))]
    pub clip_interval: u32,
    /// Distance between two frames of a window, in stored frames.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub frame_interval: u32,
}

fn clip_interval() -> u32 {
    16
}

impl SamplerParams for UntrimmedSampleFrames {}
