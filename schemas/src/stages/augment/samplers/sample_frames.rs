//! [`SampleFrames`].

use super::{OutOfBound, SamplerParams, one};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Takes clips spread evenly over the video: at random places in training, at fixed ones in testing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleFrames {
    /// Number of frames of a clip.
    #[schemars(range(min = 1, max = 1024))]
    pub clip_len: u32,
    /// Distance between two frames of a clip, in stored frames.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub frame_interval: u32,
    /// Number of clips per video; with `clip_len: 1`, number of segments of its one clip.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub num_clips: u32,
    /// Whether each frame of a training clip is moved by a random distance below `frame_interval`.
    #[serde(default)]
    pub temporal_jitter: bool,
    /// Whether testing takes twice as many clips. With segments, these are a second view at the start of each part of the video
    /// instead of its middle (TSM).
    #[serde(default)]
    pub twice_sample: bool,
    /// How frame indices past the end of the video are replaced.
    #[serde(default)]
    pub out_of_bound_opt: OutOfBound,
    /// Whether training clips can reach the last frames of the video, which equal intervals of whole frames leave out.
    #[serde(default)]
    pub keep_tail_frames: bool,
    /// Frame rate in which `clip_len * frame_interval` is counted, so that clips of all videos span the same time. `null` counts
    /// stored frames.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub target_fps: Option<f64>,
}

impl Default for SampleFrames {
    fn default() -> Self {
        Self {
            clip_len: 1,
            frame_interval: 1,
            num_clips: 1,
            temporal_jitter: false,
            twice_sample: false,
            out_of_bound_opt: OutOfBound::Loop,
            keep_tail_frames: false,
            target_fps: None,
        }
    }
}

impl SamplerParams for SampleFrames {}
