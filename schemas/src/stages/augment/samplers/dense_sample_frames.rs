//! [`DenseSampleFrames`].

use super::{InvalidField, OutOfBound, SamplerParams, one};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Takes clips from a window of `sample_range` frames: at a random place in training, from several windows in testing (I3D).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DenseSampleFrames {
    /// Number of frames of a clip.
    #[schemars(range(min = 1, max = 1024))]
    pub clip_len: u32,
    /// Distance between two frames of a clip, in stored frames.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub frame_interval: u32,
    /// Number of clips per window; with `clip_len: 1`, number of segments of its one clip.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub num_clips: u32,
    /// Number of frames that a window spans.
    #[serde(default = "sample_range")]
    #[schemars(range(min = 1, max = 100_000))]
    pub sample_range: u32,
    /// Number of windows per video in testing.
    #[serde(default = "num_sample_positions")]
    #[schemars(range(min = 1, max = 1024))]
    pub num_sample_positions: u32,
    /// How frame indices past the end of the video are replaced.
    #[serde(default)]
    pub out_of_bound_opt: OutOfBound,
}

fn sample_range() -> u32 {
    64
}

fn num_sample_positions() -> u32 {
    10
}

impl SamplerParams for DenseSampleFrames {
    /// A few digits too many must not fill the memory with views.
    fn check(&self) -> Result<(), InvalidField> {
        const MAX_CLIPS: u32 = 4096;
        let Self { num_clips, num_sample_positions, .. } = *self;
        let clips = num_clips.saturating_mul(num_sample_positions);
        if clips <= MAX_CLIPS {
            return Ok(());
        }
        Err(InvalidField {
            field: "num_sample_positions",
            message: format!("{num_sample_positions} windows of {num_clips} clips are {clips} clips per video"),
            help: "num_sample_positions * num_clips <= 4096",
        })
    }
}
