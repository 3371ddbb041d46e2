//! `augment`: every random draw of training and every test view, as rows of the `samples` tables.
//!
//! Transforms and samplers have a file each; the lists are in `transforms.rs` and `samplers.rs`.

use crate::contract::{
    Check, Contract, InputPort, Numerics, Output, OutputPort, ParamError, Params, Parts, PortType, Tool, Worker, parse,
    schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod samplers;
mod transforms;

pub use samplers::*;
pub use transforms::*;

/// Contract of `augment`.
pub const CONTRACT: Contract = Contract {
    kind: "augment",
    version: 6,
    summary: "draws the frames, crops and flips that the network sees: one row per clip, for every epoch and test view",
    worker: Some(Worker::Data),
    open_ports: None,
    inputs: &[
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "labels", port_type: PortType::Annotations, required: true, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "samples", port_type: PortType::Samples, path: "samples" },
        OutputPort { name: "contact_sheet", port_type: PortType::Picture, path: "contact_sheet.png" },
    ],
    parts: Some(Parts::Independent),
    numerics: Numerics::Exact,
    check: Check::Never,
    tools: &[Tool::LibjpegTurbo],
    schema: schema::<AugmentParams>,
    parse: parse::<AugmentParams>,
};

/// Parameters of `augment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentParams {
    /// Number of epochs to draw: at least `max_epochs` of the `train` stage. Raising it draws only the new epochs.
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: u32,
    /// Seed of all random draws in training. The same seed gives the same clips on every machine.
    pub seed: u64,
    /// Number of times that an epoch shows each training video, with independent draws each time (repeated augmentation).
    #[schemars(range(min = 1, max = 64))]
    pub num_sample: u32,
    /// Which training videos an epoch shows.
    pub epoch_videos: EpochVideos,
    /// Sampler and transforms of training clips.
    pub train: ClipPipeline,
    /// Sampler and transforms of test clips. They must not be random.
    pub test: ClipPipeline,
    /// Blends training clips with each other (mixup, CutMix), as the last step. `null` blends none.
    pub blending: Option<Blending>,
    /// Also writes clips as pixels, as the output `clips`, for programs outside `pipe`. `null` writes none; `train` does not need
    /// them, because it makes clips from the frames.
    pub store_clips: Option<StoreClips>,
}

/// Which clips are also written as pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreClips {
    /// Number of epochs whose clips are written, counted from the first. `null` writes all epochs that are drawn.
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: Option<u32>,
    /// Whether the test views are written.
    pub test: bool,
}

impl Default for StoreClips {
    fn default() -> Self {
        Self { epochs: None, test: true }
    }
}

/// Which training videos an epoch shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EpochVideos {
    /// Every video once.
    #[default]
    Each,
    /// As many videos, the same number of each class: videos of rare classes are repeated with other draws, and each epoch shows
    /// other videos of frequent classes.
    ClassBalanced,
}

/// Blends clips of a batch with each other: MMAction2's `RandomBatchAugment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blending {
    /// Number of clips that are blended among each other. Use the `batch_size` of `train`: then no clip is decoded twice.
    #[schemars(range(min = 2, max = 65_536))]
    pub batch_size: u32,
    /// Ways to blend; one of them is drawn for each batch.
    pub augments: Vec<Blend>,
    /// Probability of each way. If their sum is below 1, the remaining batches are not blended. By default all ways are equally
    /// probable.
    #[serde(default)]
    pub probs: Vec<f64>,
}

/// A way to blend a clip with another one. The share of the clip itself, lambda, is drawn from Beta(alpha, alpha) once for each
/// batch; the labels are blended in the same proportion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Blend {
    /// Each pixel is the weighted mean of the two clips (mixup).
    MixupBlending {
        /// Parameter of the Beta distribution. Small values leave most clips nearly unchanged; 1 makes all shares equally
        /// probable.
        #[serde(default = "alpha")]
        #[schemars(range(min = 0.01, max = 100.0))]
        alpha: f64,
    },
    /// A box of the clip is replaced by the other one (CutMix).
    CutmixBlending {
        /// Parameter of the Beta distribution. Small values leave most clips nearly unchanged; 1 makes all shares equally
        /// probable.
        #[serde(default = "alpha")]
        #[schemars(range(min = 0.01, max = 100.0))]
        alpha: f64,
    },
}

fn alpha() -> f64 {
    0.2
}

/// A sampler and the transforms that follow it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClipPipeline {
    /// Which frames of a video make a clip.
    pub sampler: Sampler,
    /// Steps from these frames to what the network sees, in order. All clips must end with the same size.
    pub transforms: Vec<Transform>,
}

impl Default for ClipPipeline {
    fn default() -> Self {
        Self {
            sampler: Sampler::frames(1, 1, 8),
            transforms: vec![Resize { scale: Scale::ShortSidePx(256) }.into(), CenterCrop { crop_size: 224 }.into()],
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
            store_clips: None,
        }
    }
}

/// A parameter whose value is not valid.
struct InvalidField {
    field: &'static str,
    /// What is wrong, as a lower-case fragment.
    message: String,
    /// What is valid.
    help: &'static str,
}

impl InvalidField {
    /// Returns the error for a field of the parameters at `path`.
    fn at(self, path: &[&str]) -> ParamError {
        let path = path.iter().copied().chain([self.field]).map(str::to_owned).collect();
        ParamError { path, message: self.message, help: self.help.into() }
    }
}

impl Params for AugmentParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = self.train.check("train", true);
        errors.extend(self.test.check("test", false));
        let blending = self.blending.as_ref().map_or(Ok(()), Blending::check);
        errors.extend(blending.err().map(|error| error.at(&["blending"])));
        let stored = self.store_clips.and_then(|store| store.epochs);
        errors.extend(stored.filter(|stored| *stored > self.epochs).map(|stored| ParamError {
            path: vec!["store_clips".into(), "epochs".into()],
            message: format!("{stored} epochs are to be stored, but only {} are drawn", self.epochs),
            help: "at most `epochs`".into(),
        }));
        errors
    }

    fn epochs_drawn(&self) -> Option<u32> {
        Some(self.epochs)
    }

    fn outputs(&self) -> Vec<Output> {
        let clips = || Output { name: "clips".into(), port_type: PortType::Clips, path: "clips".into() };
        self.store_clips.iter().map(|_| clips()).collect()
    }
}

impl ClipPipeline {
    /// Returns what is wrong with a pipeline for testing, which must be the same every time.
    pub fn check_test(&self) -> Vec<ParamError> {
        self.check("test", false)
    }

    /// Checks the parameters below `part`, and that the transforms are in an order that can be executed.
    fn check(&self, part: &str, may_be_random: bool) -> Vec<ParamError> {
        let mut errors: Vec<ParamError> =
            self.sampler.check().err().map(|error| error.at(&[part, "sampler"])).into_iter().collect();
        let mut changes_pixels = None;
        for (position, transform) in self.transforms.iter().enumerate() {
            let mut add = |error: InvalidField| errors.push(error.at(&[part, "transforms", &position.to_string()]));
            if !may_be_random && transform.is_random() {
                add(InvalidField {
                    field: "type",
                    message: format!("random transform in the {part} pipeline"),
                    help: "use Resize, CenterCrop, ThreeCrop or TenCrop",
                });
            }
            if transform.changes_pixels() {
                changes_pixels.get_or_insert(position);
            } else if let Some(before) = changes_pixels {
                add(InvalidField {
                    field: "type",
                    message: format!("it comes after transform {before}, which changes pixels"),
                    help: "first crop, scale and mirror, then change pixels",
                });
            }
            if let Err(error) = transform.check() {
                add(error);
            }
        }
        errors
    }
}

impl Blending {
    fn check(&self) -> Result<(), InvalidField> {
        let (num_ways, probs) = (self.augments.len(), &self.probs);
        if num_ways == 0 {
            let message = "there is no way to blend".into();
            return Err(InvalidField { field: "augments", message, help: "for example [{ type: MixupBlending }]" });
        }
        if !probs.is_empty() && probs.len() != num_ways {
            let message = format!("{} probabilities for {num_ways} `augments`", probs.len());
            return Err(InvalidField { field: "probs", message, help: "one for each" });
        }
        if probs.iter().all(|prob| (0.0..=1.0).contains(prob)) && probs.iter().sum::<f64>() <= 1.0 + 1e-9 {
            return Ok(());
        }
        let message = format!("{probs:?} are not valid probabilities of one choice");
        Err(InvalidField { field: "probs", message, help: "each from 0 to 1, with a sum of at most 1" })
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
    fn invalid_parameters_are_reported_with_their_path() {
        let train = |transforms: Value| json!({"train": {"sampler": {"type": "UniformSample", "clip_len": 8}, "transforms": transforms}});
        check(json!({}), &[]);
        check(
            train(json!([{"type": "ColorJitter"}, {"type": "Flip"}])),
            &["train.transforms.1.type: it comes after transform 0, which changes pixels"],
        );
        check(
            train(json!([{"type": "Flip", "flip_label_map": {"86": 87, "left": 2}}])),
            &["train.transforms.0.flip_label_map: `left` is not a valid class index"],
        );
        check(
            train(
                json!([{"type": "RandomRescale", "scale_range": [320, 256]}, {"type": "MultiScaleCrop", "input_size": 224, "num_fixed_crops": 9}]),
            ),
            &[
                "train.transforms.0.scale_range: [320, 256] is not a valid range of lengths",
                "train.transforms.1.num_fixed_crops: 9 is not a valid number of fixed crops",
            ],
        );
        let mix = json!([{"type": "MixupBlending"}, {"type": "CutmixBlending", "alpha": 1.0}]);
        check(json!({"blending": {"batch_size": 8, "augments": mix, "probs": [0.5, 0.3]}}), &[]);
        check(
            json!({"blending": {"batch_size": 8, "augments": mix, "probs": [0.9, 0.3]}}),
            &["blending.probs: [0.9, 0.3] are not valid probabilities of one choice"],
        );
        check(
            json!({"epochs": 3, "store_clips": {"epochs": 4}}),
            &["store_clips.epochs: 4 epochs are to be stored, but only 3 are drawn"],
        );
        check(json!({"blending": {"batch_size": 8, "augments": []}}), &["blending.augments: there is no way to blend"]);
        let dense = json!({"type": "DenseSampleFrames", "clip_len": 1, "num_clips": 1024, "num_sample_positions": 10});
        check(
            json!({"test": {"sampler": dense, "transforms": [{"type": "RandomCrop", "size": 9}]}}),
            &[
                "test.sampler.num_sample_positions: 10 windows of 1024 clips are 10240 clips per video",
                "test.transforms.0.type: random transform in the test pipeline",
            ],
        );
    }
}
