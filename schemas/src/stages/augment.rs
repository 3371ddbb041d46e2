//! `augment`: every random draw of training and every test view, as rows of the `samples` tables.

use crate::contract::{Contract, InputPort, OutputPort, ParamError, Params, PortType, Tool, Worker, parse, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Contract of `augment`.
pub const CONTRACT: Contract = Contract {
    kind: "augment",
    version: 3,
    summary: "draws which frames, crops and flips the network sees: one row a clip, for every epoch and test view",
    worker: Some(Worker::Data),
    open_ports: false,
    inputs: &[
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "labels", port_type: PortType::Annotations, required: true, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "samples", port_type: PortType::Samples, path: "samples" },
        OutputPort { name: "contact_sheet", port_type: PortType::Picture, path: "contact_sheet.png" },
    ],
    parts: None,
    tools: &[Tool::LibjpegTurbo],
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
    /// How often each training video is shown in an epoch, each time with draws of its own (repeated augmentation).
    #[schemars(range(min = 1, max = 64))]
    pub num_sample: u32,
    /// Which videos an epoch shows.
    pub epoch_videos: EpochVideos,
    /// How training clips are drawn.
    pub train: ClipPipeline,
    /// How test clips are taken.
    pub test: ClipPipeline,
    /// Which training clips are blended with others, as the last step. `null` blends none.
    pub blending: Option<Blending>,
}

/// Which videos an epoch of training shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EpochVideos {
    /// Each one once.
    #[default]
    Each,
    /// As many, but from each class as many as from the others: videos of rare classes come again, with draws of their own,
    /// and of frequent classes each epoch shows others.
    ClassBalanced,
}

/// Blends clips of a batch with each other: MMAction2's `RandomBatchAugment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blending {
    /// Clips that are blended among each other. Where it is the `batch_size` of `train`, no clip is loaded twice for it.
    #[schemars(range(min = 2, max = 65_536))]
    pub batch_size: u32,
    /// Ways to blend; one is drawn for each batch.
    pub augments: Vec<Blend>,
    /// How often each one is drawn; batches that are left over are not blended. Without it all are drawn equally often.
    #[serde(default)]
    pub probs: Vec<f64>,
}

/// A way to blend a clip with another one. The share of the clip itself, lambda, is drawn from Beta(alpha, alpha), once for
/// a batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Blend {
    /// All pixels are means of the two clips.
    MixupBlending {
        /// Of the distribution.
        #[serde(default = "fifth")]
        #[schemars(range(min = 0.01, max = 100.0))]
        alpha: f64,
    },
    /// A box is taken from the other clip.
    CutmixBlending {
        /// Of the distribution.
        #[serde(default = "fifth")]
        #[schemars(range(min = 0.01, max = 100.0))]
        alpha: f64,
    },
}

fn fifth() -> f64 {
    0.2
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

fn one() -> u32 {
    1
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

fn two() -> u32 {
    2
}

fn three_chains() -> u32 {
    3
}

fn five() -> u32 {
    5
}

fn half() -> f64 {
    0.5
}

fn tenth() -> f64 {
    0.1
}

fn fiftieth() -> f64 {
    0.02
}

fn third() -> f64 {
    1.0 / 3.0
}

fn whole() -> f64 {
    1.0
}

fn three() -> f64 {
    3.0
}

fn nine() -> f64 {
    9.0
}

fn erased_aspects() -> [f64; 2] {
    [3.0 / 10.0, 10.0 / 3.0]
}

fn grey() -> [u8; 3] {
    [128; 3]
}

/// A step from stored frames to what the network sees. Names and parameters are those of MMAction2, `RandAugment` and
/// `AugMix` those of pytorchvideo.
///
/// Steps that cut, scale and mirror come first, in their order; they cost one resampling together. Those that change
/// pixels, from `ColorJitter` on, come after them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Transform {
    /// Scales the whole frame.
    Resize {
        /// To which size.
        scale: Scale,
    },
    /// Scales the short side to a length drawn from a range, the aspect is kept.
    RandomRescale {
        /// The shortest and the longest it may become, in pixels.
        scale_range: [u32; 2],
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
    /// Cuts a box at one of several scales (TSN).
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
        /// Takes any offset, not one of the fixed ones.
        #[serde(default)]
        random_crop: bool,
        /// Offsets to choose from: 5, the corners and the middle, or 13 (TSM).
        #[serde(default = "five")]
        num_fixed_crops: u32,
    },
    /// Mirrors left and right.
    Flip {
        /// How often.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        flip_ratio: f64,
        /// From a class to the one that its mirror image belongs to, by class index: what is pushed from left to right is
        /// pushed from right to left in the mirror.
        #[serde(default)]
        flip_label_map: BTreeMap<String, u32>,
    },
    /// Takes three views: left or top, right or bottom, middle.
    ThreeCrop {
        /// The side in pixels.
        #[schemars(range(min = 1, max = 4096))]
        crop_size: u32,
    },
    /// Takes ten views: the four corners and the middle, each followed by its mirror image.
    TenCrop {
        /// The side in pixels.
        #[schemars(range(min = 1, max = 4096))]
        crop_size: u32,
    },
    /// Changes brightness, contrast, saturation and hue, in an order drawn with them; the same for all frames of a clip.
    ColorJitter {
        /// The factor lies this far from 1 at most.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        brightness: f64,
        /// Likewise.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        contrast: f64,
        /// Likewise.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        saturation: f64,
        /// The hue moves by this share of the circle at most.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0.0, max = 0.5))]
        hue: f64,
    },
    /// Does `num_layers` of fourteen operations, no two the same, each with probability `prob`.
    RandAugment {
        /// How strong they are, from 0 to 10; each is drawn around it.
        #[serde(default = "nine")]
        #[schemars(range(min = 0.0, max = 10.0))]
        magnitude: f64,
        /// Standard deviation of that draw.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 10.0))]
        magnitude_std: f64,
        /// Operations to choose.
        #[serde(default = "two")]
        #[schemars(range(min = 1, max = 14))]
        num_layers: u32,
        /// How often a chosen one is done.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        prob: f64,
    },
    /// Blends the clip with chains of operations on it.
    AugMix {
        /// The strongest that an operation may be, from 0.1 to 10.
        #[serde(default = "three")]
        #[schemars(range(min = 0.1, max = 10.0))]
        magnitude: f64,
        /// Of the Beta and Dirichlet distributions of shares.
        #[serde(default = "whole")]
        #[schemars(range(min = 0.01, max = 100.0))]
        alpha: f64,
        /// Chains.
        #[serde(default = "three_chains")]
        #[schemars(range(min = 1, max = 16))]
        width: u32,
        /// Operations in each chain; 0 draws 1 to 3 for each.
        #[serde(default)]
        #[schemars(range(min = 0, max = 16))]
        depth: u32,
    },
    /// Fills a box, the same one in all frames.
    RandomErasing {
        /// How often.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        erase_prob: f64,
        /// Least share of the area.
        #[serde(default = "fiftieth")]
        #[schemars(range(min = 0.0, max = 1.0))]
        min_area_ratio: f64,
        /// Largest share of the area.
        #[serde(default = "third")]
        #[schemars(range(min = 0.0, max = 1.0))]
        max_area_ratio: f64,
        /// Height over width.
        #[serde(default = "erased_aspects")]
        aspect_range: [f64; 2],
        /// What it is filled with.
        #[serde(default)]
        mode: EraseMode,
        /// Red, green and blue for `mode: const`.
        #[serde(default = "grey")]
        fill_color: [u8; 3],
    },
}

/// What an erased box is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EraseMode {
    /// One colour.
    #[default]
    Const,
    /// A random colour for each pixel of each frame.
    Rand,
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
            sampler: Sampler::frames(1, 1, 8),
            transforms: vec![
                Transform::Resize { scale: Scale::ShortSidePx(256) },
                Transform::CenterCrop { crop_size: 224 },
            ],
        }
    }
}

impl Default for AugmentParams {
    fn default() -> Self {
        Self {
            epochs: 50,
            seed: 0,
            num_sample: 1,
            epoch_videos: EpochVideos::Each,
            train: ClipPipeline::default(),
            test: ClipPipeline::default(),
            blending: None,
        }
    }
}

impl Params for AugmentParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = Vec::new();
        for (part, pipeline) in [("train", &self.train), ("test", &self.test)] {
            errors.extend(check_sampler(part, &pipeline.sampler));
            let mut pixels = None;
            for (position, transform) in pipeline.transforms.iter().enumerate() {
                let error = |field: &str, message: String, help: &str| ParamError {
                    path: vec![part.into(), "transforms".into(), position.to_string(), field.into()],
                    message,
                    help: help.into(),
                };
                if part == "test" && transform.is_random() {
                    let help = "use Resize, CenterCrop, ThreeCrop or TenCrop";
                    errors.push(error("type", "a random transform in the test pipeline".into(), help));
                }
                if transform.changes_pixels() {
                    pixels.get_or_insert(position);
                } else if let Some(before) = pixels {
                    let message = format!("it comes after transform {before}, which changes pixels");
                    errors.push(error("type", message, "first cut, scale and mirror, then change pixels"));
                }
                errors.extend(transform.misfit().map(|(field, message, help)| error(field, message, help)));
            }
        }
        errors.extend(self.blending.as_ref().and_then(Blending::misfit));
        errors
    }
}

/// A table of views must not outgrow memory because of a few digits in a file.
fn check_sampler(part: &str, sampler: &Sampler) -> Option<ParamError> {
    const MAX_CLIPS: u32 = 4096;
    let Sampler::DenseSampleFrames { num_clips, num_sample_positions, .. } = *sampler else { return None };
    let clips = num_clips.saturating_mul(num_sample_positions);
    (clips > MAX_CLIPS).then(|| ParamError {
        path: vec![part.into(), "sampler".into(), "num_sample_positions".into()],
        message: format!("{num_sample_positions} windows of {num_clips} clips are {clips} clips a video"),
        help: format!("at most {MAX_CLIPS}"),
    })
}

/// Field, message and help.
type Misfit = (&'static str, String, &'static str);

impl Transform {
    /// Returns whether it changes pixels and leaves them where they are.
    pub fn changes_pixels(&self) -> bool {
        matches!(
            self,
            Self::ColorJitter { .. } | Self::RandAugment { .. } | Self::AugMix { .. } | Self::RandomErasing { .. }
        )
    }

    fn is_random(&self) -> bool {
        match self {
            Self::Resize { .. } | Self::CenterCrop { .. } | Self::ThreeCrop { .. } | Self::TenCrop { .. } => false,
            Self::Flip { flip_ratio, .. } => *flip_ratio > 0.0 && *flip_ratio < 1.0,
            Self::RandomRescale { .. }
            | Self::RandomCrop { .. }
            | Self::RandomResizedCrop { .. }
            | Self::MultiScaleCrop { .. }
            | Self::ColorJitter { .. }
            | Self::RandAugment { .. }
            | Self::AugMix { .. }
            | Self::RandomErasing { .. } => true,
        }
    }

    /// Returns what is wrong with numbers that fit their own range, but not each other.
    fn misfit(&self) -> Option<Misfit> {
        const ORDER: &str = "0 < low <= high";
        let rises = |[low, high]: [f64; 2]| 0.0 < low && low <= high && high.is_finite();
        match self {
            Self::RandomResizedCrop { area_range: [low, high], .. } if !(rises([*low, *high]) && *high <= 1.0) => {
                Some(("area_range", format!("[{low}, {high}] is no range of shares"), "0 < low <= high <= 1"))
            }
            Self::RandomResizedCrop { aspect_ratio_range: [low, high], .. } if !rises([*low, *high]) => {
                Some(("aspect_ratio_range", format!("[{low}, {high}] is no range of aspects"), ORDER))
            }
            Self::RandomErasing { aspect_range: [low, high], .. } if !rises([*low, *high]) => {
                Some(("aspect_range", format!("[{low}, {high}] is no range of aspects"), ORDER))
            }
            Self::RandomErasing { min_area_ratio, max_area_ratio, .. } if min_area_ratio > max_area_ratio => Some((
                "min_area_ratio",
                format!("{min_area_ratio} is above `max_area_ratio`, {max_area_ratio}"),
                "min_area_ratio <= max_area_ratio",
            )),
            Self::RandomRescale { scale_range: [low, high] } if *low == 0 || low > high || *high > 65_535 => {
                Some(("scale_range", format!("[{low}, {high}] is no range of pixels"), "0 < low <= high <= 65535"))
            }
            Self::MultiScaleCrop { num_fixed_crops, .. } if ![5, 13].contains(num_fixed_crops) => {
                Some(("num_fixed_crops", format!("there are no {num_fixed_crops} fixed crops"), "5 or 13"))
            }
            Self::Flip { flip_label_map, .. } => {
                let wrong = flip_label_map.keys().find(|class| class.parse::<u32>().is_err())?;
                Some(("flip_label_map", format!("`{wrong}` is no class index"), "for example { 86: 87, 87: 86 }"))
            }
            _ => None,
        }
    }
}

impl Blending {
    fn misfit(&self) -> Option<ParamError> {
        let error = |field: &str, message: String, help: &str| {
            Some(ParamError { path: vec!["blending".into(), field.into()], message, help: help.into() })
        };
        let (ways, probs) = (self.augments.len(), &self.probs);
        if ways == 0 {
            return error("augments", "there is no way to blend".into(), "for example [{ type: MixupBlending }]");
        }
        if !probs.is_empty() && probs.len() != ways {
            return error("probs", format!("there are {} for {ways} `augments`", probs.len()), "one for each");
        }
        let shares = probs.iter().all(|prob| (0.0..=1.0).contains(prob)) && probs.iter().sum::<f64>() <= 1.0 + 1e-9;
        if shares {
            None
        } else {
            error("probs", format!("{probs:?} are no shares of a whole"), "their sum is at most 1")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(params: Value, expect: &[&str]) {
        let params: AugmentParams = serde_json::from_value(params).expect("parameters");
        let found: Vec<String> =
            params.check().into_iter().map(|error| format!("{}: {}", error.path.join("."), error.message)).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let train = |transforms: Value| json!({"train": {"sampler": {"type": "UniformSample", "clip_len": 8}, "transforms": transforms}});
        check(json!({}), &[]);
        check(
            train(json!([{"type": "ColorJitter"}, {"type": "Flip"}])),
            &["train.transforms.1.type: it comes after transform 0, which changes pixels"],
        );
        check(
            train(json!([{"type": "Flip", "flip_label_map": {"86": 87, "left": 2}}])),
            &["train.transforms.0.flip_label_map: `left` is no class index"],
        );
        check(
            train(
                json!([{"type": "RandomRescale", "scale_range": [320, 256]}, {"type": "MultiScaleCrop", "input_size": 224, "num_fixed_crops": 9}]),
            ),
            &[
                "train.transforms.0.scale_range: [320, 256] is no range of pixels",
                "train.transforms.1.num_fixed_crops: there are no 9 fixed crops",
            ],
        );
        let mix = json!([{"type": "MixupBlending"}, {"type": "CutmixBlending", "alpha": 1.0}]);
        check(json!({"blending": {"batch_size": 8, "augments": mix, "probs": [0.5, 0.3]}}), &[]);
        check(
            json!({"blending": {"batch_size": 8, "augments": mix, "probs": [0.9, 0.3]}}),
            &["blending.probs: [0.9, 0.3] are no shares of a whole"],
        );
        check(json!({"blending": {"batch_size": 8, "augments": []}}), &["blending.augments: there is no way to blend"]);
        let dense = json!({"type": "DenseSampleFrames", "clip_len": 1, "num_clips": 1024, "num_sample_positions": 10});
        check(
            json!({"test": {"sampler": dense, "transforms": [{"type": "RandomCrop", "size": 9}]}}),
            &[
                "test.sampler.num_sample_positions: 10 windows of 1024 clips are 10240 clips a video",
                "test.transforms.0.type: a random transform in the test pipeline",
            ],
        );
    }
}
