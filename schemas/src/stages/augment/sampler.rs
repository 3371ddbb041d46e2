//! [`Sampler`]: which frames of a video make a clip.

use crate::contract::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which frames of a video make a clip. Semantics are those of MMAction2.
///
/// Where `clip_len` is 1, `SampleFrames` and `DenseSampleFrames` take the `num_clips` frames as the segments of one clip
/// (TSN, TSM); else each of the `num_clips` clips is a view of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Sampler {
    /// MMAction2's `SampleFrames`: clips spread evenly over the video.
    SampleFrames {
        /// Frames a clip.
        #[schemars(range(min = 1, max = 1024))]
        clip_len: u32,
        /// Frames from one to the next.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = 1024))]
        frame_interval: u32,
        /// Clips (or segments) a video.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = 1024))]
        num_clips: u32,
        /// Moves each frame of a training clip by less than `frame_interval`, at random.
        #[serde(default)]
        temporal_jitter: bool,
        /// Takes twice as many test clips. Of segments these are a second view, at the start of each part of the video
        /// instead of its middle (TSM).
        #[serde(default)]
        twice_sample: bool,
        /// What an index past the end becomes.
        #[serde(default)]
        out_of_bound_opt: OutOfBound,
        /// Lets training clips reach the very last frames, which whole intervals leave out.
        #[serde(default)]
        keep_tail_frames: bool,
        /// Takes clips as if the video had this frame rate: a clip then spans `clip_len * frame_interval` frames of that
        /// rate. `null` counts stored frames.
        #[serde(default)]
        #[schemars(range(min = 0.001, max = 100_000.0))]
        target_fps: Option<f64>,
    },
    /// MMAction2's `DenseSampleFrames`: clips spread over a window of `sample_range` frames.
    DenseSampleFrames {
        /// Frames a clip.
        #[schemars(range(min = 1, max = 1024))]
        clip_len: u32,
        /// Frames from one to the next.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = 1024))]
        frame_interval: u32,
        /// Clips (or segments) a window.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = 1024))]
        num_clips: u32,
        /// Frames that a window spans.
        #[serde(default = "sample_range")]
        #[schemars(range(min = 1, max = 100_000))]
        sample_range: u32,
        /// Windows a video in testing.
        #[serde(default = "ten")]
        #[schemars(range(min = 1, max = 1024))]
        num_sample_positions: u32,
        /// What an index past the end becomes.
        #[serde(default)]
        out_of_bound_opt: OutOfBound,
    },
    /// MMAction2's `UniformSample`: the video in `clip_len` equal parts, a frame of each.
    UniformSample {
        /// Frames a clip.
        #[schemars(range(min = 1, max = 1024))]
        clip_len: u32,
        /// Test clips a video; training takes one.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = 1024))]
        num_clips: u32,
    },
    /// MMAction2's `UniformSampleFrames`, which its networks for poses use: the video in `clip_len` equal parts, a random frame of
    /// each, in testing as well.
    UniformSampleFrames {
        /// Frames a clip.
        #[schemars(range(min = 1, max = 1024))]
        clip_len: u32,
        /// Clips a video.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = 1024))]
        num_clips: u32,
        /// What the draws in testing derive from. They are those of `NumPy`, so that test clips have MMAction2's frames.
        #[serde(default = "mmaction2_seed")]
        seed: u32,
    },
    /// MMAction2's `UntrimmedSampleFrames`: windows slide over the whole video, each a view of its own. For testing.
    UntrimmedSampleFrames {
        /// Frames a window.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = 1024))]
        clip_len: u32,
        /// Frames from the middle of a window to that of the next.
        #[serde(default = "sixteen")]
        #[schemars(range(min = 1, max = 100_000))]
        clip_interval: u32,
        /// Frames from one to the next.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = 1024))]
        frame_interval: u32,
    },
}

impl Sampler {
    /// Returns MMAction2's `{clip_len}x{frame_interval}x{num_clips}`.
    pub fn frames(clip_len: u32, frame_interval: u32, num_clips: u32) -> Self {
        Self::SampleFrames {
            clip_len,
            frame_interval,
            num_clips,
            temporal_jitter: false,
            twice_sample: false,
            out_of_bound_opt: OutOfBound::Loop,
            keep_tail_frames: false,
            target_fps: None,
        }
    }
}

/// What an index past the end of a video becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutOfBound {
    /// `index mod num_frames`.
    #[default]
    Loop,
    /// The largest index of the clip that is in range.
    RepeatLast,
}

/// A table of views must not outgrow memory because of a few digits in a file.
pub(super) fn check(part: &str, sampler: &Sampler) -> Option<ParamError> {
    const MAX_CLIPS: u32 = 4096;
    let Sampler::DenseSampleFrames { num_clips, num_sample_positions, .. } = *sampler else { return None };
    let clips = num_clips.saturating_mul(num_sample_positions);
    (clips > MAX_CLIPS).then(|| ParamError {
        path: vec![part.into(), "sampler".into(), "num_sample_positions".into()],
        message: format!("{num_sample_positions} windows of {num_clips} clips are {clips} clips a video"),
        help: format!("at most {MAX_CLIPS}"),
    })
}

fn one() -> u32 {
    1
}

fn mmaction2_seed() -> u32 {
    255
}

fn ten() -> u32 {
    10
}

fn sixteen() -> u32 {
    16
}

fn sample_range() -> u32 {
    64
}
