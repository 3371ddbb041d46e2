//! `augment`: every random draw of training and every test view, as rows of the `samples` tables.

use crate::contract::{
    Check, Contract, InputPort, Numerics, Output, OutputPort, ParamError, Params, Parts, PortType, Tool, Worker, parse,
    schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod sampler;
mod transform;

pub use sampler::{OutOfBound, Sampler};
pub use transform::{EraseMode, Scale, Transform};

/// Contract of `augment`.
pub const CONTRACT: Contract = Contract {
    kind: "augment",
    version: 4,
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
    /// Which clips are also written as pixels, for programs of other people, as the output `clips`. `null` writes none: `train`
    /// makes them from the frames when it needs them.
    pub store_clips: Option<StoreClips>,
}

/// Which clips are written as pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreClips {
    /// Epochs whose clips are written, from the first on. `null` writes all that are drawn.
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: Option<u32>,
    /// Whether test views are written.
    pub test: bool,
}

impl Default for StoreClips {
    fn default() -> Self {
        Self { epochs: None, test: true }
    }
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
            store_clips: None,
        }
    }
}

impl Params for AugmentParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = Vec::new();
        for (part, pipeline) in [("train", &self.train), ("test", &self.test)] {
            errors.extend(sampler::check(part, &pipeline.sampler));
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
        let stored = self.store_clips.and_then(|store| store.epochs);
        errors.extend(stored.filter(|stored| *stored > self.epochs).map(|stored| ParamError {
            path: vec!["store_clips".into(), "epochs".into()],
            message: format!("{stored} epochs are to be stored, but {} are drawn", self.epochs),
            help: "at most `epochs`".into(),
        }));
        errors
    }

    fn outputs(&self) -> Vec<Output> {
        let clips = || Output { name: "clips".into(), port_type: PortType::Clips, path: "clips".into() };
        self.store_clips.iter().map(|_| clips()).collect()
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
        check(
            json!({"epochs": 3, "store_clips": {"epochs": 4}}),
            &["store_clips.epochs: 4 epochs are to be stored, but 3 are drawn"],
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
