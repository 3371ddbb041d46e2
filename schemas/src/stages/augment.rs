//! `augment`: every random draw of training and every test view, as rows of the `samples` tables.

use crate::contract::{Contract, InputPort, OutputPort, ParamError, Params, PortType, Worker, parse, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `augment`.
pub const CONTRACT: Contract = Contract {
    kind: "augment",
    version: 1,
    summary: "draws which frames, crops and flips the network sees: one row a clip, for every epoch and test view",
    worker: Some(Worker::Data),
    open_ports: false,
    inputs: &[
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "labels", port_type: PortType::Annotations, required: true, or_param: None },
    ],
    outputs: &[OutputPort { name: "samples", port_type: PortType::Samples, path: "samples" }],
    parts: None,
    tools: &[],
    schema: schema::<AugmentParams>,
    parse: parse::<AugmentParams>,
};

/// Parameters of `augment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentParams {
    /// Epochs to draw rows for.
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: u32,
    /// What all draws derive from, with the epoch and the video.
    pub seed: u64,
    /// How training clips are drawn.
    pub train: ClipPipeline,
    /// How test clips are taken.
    pub test: ClipPipeline,
}

/// A sampler and the transforms after it, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClipPipeline {
    /// Which frames.
    pub sampler: Sampler,
    /// What is cut from them; the last one decides the size that the network sees.
    pub transforms: Vec<Transform>,
}

/// Which frames of a video make a clip. Semantics are those of MMAction2.
///
/// With `clip_len: 1` the `num_clips` frames are the segments of one clip (TSN, TSM); else each of the `num_clips` clips
/// is a view of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Sampler {
    /// MMAction2's `SampleFrames`.
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
        /// What an index past the end becomes.
        #[serde(default)]
        out_of_bound_opt: OutOfBound,
    },
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

fn one() -> u32 {
    1
}

fn half() -> f64 {
    0.5
}

/// A step that cuts, scales or mirrors. Names and parameters are those of MMAction2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Transform {
    /// Scales the whole frame.
    Resize {
        /// To which size.
        scale: Scale,
    },
    /// Cuts a square at a uniform offset.
    RandomCrop {
        /// Its side in pixels.
        #[schemars(range(min = 1, max = 4096))]
        size: u32,
    },
    /// Cuts a square from the middle.
    CenterCrop {
        /// Its side in pixels.
        #[schemars(range(min = 1, max = 4096))]
        crop_size: u32,
    },
    /// Cuts a box of random area and aspect.
    RandomResizedCrop {
        /// Share of the frame's area.
        #[serde(default = "area_range")]
        area_range: [f64; 2],
        /// Width over height.
        #[serde(default = "aspect_ratio_range")]
        aspect_ratio_range: [f64; 2],
    },
    /// Cuts one of the corner or middle boxes at one of several scales (TSN).
    MultiScaleCrop {
        /// Side in pixels of the square that follows.
        #[schemars(range(min = 1, max = 4096))]
        input_size: u32,
        /// Sides as shares of the short side.
        #[serde(default = "multi_scales")]
        scales: Vec<f64>,
        /// How far apart width's and height's positions in `scales` may be.
        #[serde(default = "one")]
        max_wh_scale_gap: u32,
    },
    /// Mirrors left and right.
    Flip {
        /// How often.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        flip_ratio: f64,
    },
    /// Takes three views: left or top, right or bottom, middle.
    ThreeCrop {
        /// The side in pixels.
        #[schemars(range(min = 1, max = 4096))]
        crop_size: u32,
    },
}

/// A size to scale to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scale {
    /// The short side has so many pixels, the aspect is kept.
    ShortSidePx(u32),
    /// Exactly width by height.
    Exact([u32; 2]),
}

fn area_range() -> [f64; 2] {
    [0.08, 1.0]
}

fn aspect_ratio_range() -> [f64; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

fn multi_scales() -> Vec<f64> {
    vec![1.0, 0.875, 0.75, 0.66]
}

impl Default for ClipPipeline {
    fn default() -> Self {
        Self {
            sampler: Sampler::SampleFrames {
                clip_len: 1,
                frame_interval: 1,
                num_clips: 8,
                out_of_bound_opt: OutOfBound::Loop,
            },
            transforms: vec![
                Transform::Resize { scale: Scale::ShortSidePx(256) },
                Transform::CenterCrop { crop_size: 224 },
            ],
        }
    }
}

impl Default for AugmentParams {
    fn default() -> Self {
        Self { epochs: 50, seed: 0, train: ClipPipeline::default(), test: ClipPipeline::default() }
    }
}

impl Params for AugmentParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = Vec::new();
        for (part, pipeline) in [("train", &self.train), ("test", &self.test)] {
            for (position, transform) in pipeline.transforms.iter().enumerate() {
                let path = |field: &str| vec![part.into(), "transforms".into(), position.to_string(), field.into()];
                if part == "test" && is_random(transform) {
                    errors.push(ParamError {
                        path: path("type"),
                        message: "a random transform in the test pipeline".into(),
                        help: "use Resize, CenterCrop or ThreeCrop".into(),
                    });
                }
                if let Transform::RandomResizedCrop { area_range: [low, high], aspect_ratio_range: [narrow, wide] } =
                    transform
                {
                    if !(0.0 < *low && low <= high && *high <= 1.0) {
                        errors.push(ParamError {
                            path: path("area_range"),
                            message: format!("[{low}, {high}] is no range of shares"),
                            help: "0 < low <= high <= 1".into(),
                        });
                    }
                    if !(0.0 < *narrow && narrow <= wide) {
                        errors.push(ParamError {
                            path: path("aspect_ratio_range"),
                            message: format!("[{narrow}, {wide}] is no range of aspects"),
                            help: "0 < low <= high".into(),
                        });
                    }
                }
            }
        }
        errors
    }
}

fn is_random(transform: &Transform) -> bool {
    match transform {
        Transform::Resize { .. } | Transform::CenterCrop { .. } | Transform::ThreeCrop { .. } => false,
        Transform::Flip { flip_ratio } => *flip_ratio > 0.0 && *flip_ratio < 1.0,
        Transform::RandomCrop { .. } | Transform::RandomResizedCrop { .. } | Transform::MultiScaleCrop { .. } => true,
    }
}
