//! [`Sampler`]: which frames of a video make a clip. Each has a file of its own.

mod dense_sample_frames;
mod sample_frames;
mod uniform_sample;
mod uniform_sample_frames;
mod untrimmed_sample_frames;

use super::InvalidField;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The parameters of one sampler.
trait SamplerParams {
    /// Checks what the JSON schema can't express: parameters that depend on each other.
    fn check(&self) -> Result<(), InvalidField> {
        Ok(())
    }
}

macro_rules! samplers {
    ($($module:ident::$name:ident),+ $(,)?) => {
        $(pub use $module::$name;)+

        /// Which frames of a video make a clip. Names, parameters and frames are those of MMAction2.
        ///
        /// With `clip_len: 1`, `SampleFrames` and `DenseSampleFrames` take their `num_clips` frames as the segments of one
        /// clip (TSN, TSM). Otherwise each of the `num_clips` clips is a view of its own.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type", deny_unknown_fields)]
        #[expect(missing_docs, reason = "each variant is documented where its parameters are")]
        pub enum Sampler {
            $($name($name),)+
        }

        impl Sampler {
            fn params(&self) -> &dyn SamplerParams {
                match self {
                    $(Self::$name(params) => params,)+
                }
            }

            /// Returns the name of the sampler, the value of `type`.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)+
                }
            }
        }

        $(impl From<$name> for Sampler {
            fn from(params: $name) -> Self {
                Self::$name(params)
            }
        })+
    };
}

samplers! {
    sample_frames::SampleFrames,
    dense_sample_frames::DenseSampleFrames,
    uniform_sample::UniformSample,
    uniform_sample_frames::UniformSampleFrames,
    untrimmed_sample_frames::UntrimmedSampleFrames,
}

impl Sampler {
    /// Returns `SampleFrames` with MMAction2's `{clip_len}x{frame_interval}x{num_clips}`.
    pub fn frames(clip_len: u32, frame_interval: u32, num_clips: u32) -> Self {
        SampleFrames { clip_len, frame_interval, num_clips, ..SampleFrames::default() }.into()
    }

    pub(super) fn check(&self) -> Result<(), InvalidField> {
        self.params().check()
    }
}

/// How frame indices past the end of a video are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutOfBound {
    /// The video starts again from its first frame.
    #[default]
    Loop,
    /// The last frame of the clip that is inside the video is repeated.
    RepeatLast,
}

fn one() -> u32 {
    1
}
