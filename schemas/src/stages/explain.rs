//! `explain`: where in a clip a network finds the evidence for a class.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, ParamError, Params, PortType, Tolerance, Tool, Worker, parse,
    schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod faithfulness;
mod target_class;

pub use faithfulness::{Faithfulness, VideoFaithfulness};
pub use target_class::TargetClass;

/// Contract of `explain`.
pub const CONTRACT: Contract = Contract {
    kind: "explain",
    version: 1,
    summary: "marks where in test clips the evidence for a class is, and measures whether the network needs it",
    worker: Some(Worker::Torch),
    open_ports: None,
    inputs: &[
        InputPort { name: "model", port_type: PortType::Model, required: true, or_param: None },
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "heat_maps", port_type: PortType::HeatMaps, path: "heat_maps.parquet" },
        OutputPort { name: "faithfulness", port_type: PortType::Metrics, path: "faithfulness.json" },
        OutputPort { name: "contact_sheet", port_type: PortType::Picture, path: "contact_sheet.png" },
        OutputPort { name: "videos", port_type: PortType::Folder, path: "videos" },
    ],
    parts: None,
    numerics: Numerics::FloatingPoint(Tolerance { relative: 0.05, absolute: 0.02 }),
    check: Check::Never,
    tools: &[Tool::Libtorch, Tool::LibjpegTurbo, Tool::Ffmpeg],
    schema: schema::<ExplainParams>,
    parse: parse::<ExplainParams>,
};

/// Parameters of `explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExplainParams {
    /// Which test videos are explained. Default: `evenly`.
    pub select: Select,
    /// Number of videos, if there are as many. Default: 8.
    #[schemars(range(min = 1, max = 1000))]
    pub num_videos: u32,
    /// The videos to explain, by their path in the samples or its file name; instead of `select` and `num_videos`.
    pub videos: Vec<String>,
    /// How the evidence is found. Default: `grad_cam`.
    pub method: Method,
    /// The layer whose feature maps are shown, such as `layer4.1.relu`. Default: the last one before its values are pooled.
    /// Attention rollout uses the attentions of all layers.
    pub target_layer: Option<String>,
    /// The class that evidence is searched for: `predicted`, `true` for the label (the first of several), the index of a class or its name.
    /// Default: `predicted`, over all views of the video.
    pub target_class: TargetClass,
    /// How the heads of an attention become one in attention rollout. Default: `mean`.
    pub head_fusion: HeadFusionParam,
    /// Share of the pixels of a clip that are marked: those with the highest values of the heat map. Default: 0.1.
    #[schemars(range(min = 0.001, max = 0.9))]
    pub region: f64,
    /// How pixels are removed to see whether the network needs them. Default: `blur`.
    pub removal: Removal,
    /// Number of random regions of the same size and shape that each marked region is compared with. Default: 8.
    #[schemars(range(min = 1, max = 1000))]
    pub random_regions: u32,
    /// Seed of the random regions. Default: 0.
    pub seed: u64,
    /// Frames per second of the written videos, which show the frames of a clip. Default: 4.
    #[schemars(range(min = 1, max = 240))]
    pub fps: u32,
}

/// Which test videos are explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// Evenly spaced ones in the order of their names, so that all classes have some.
    Evenly,
    /// Those that are predicted wrongly, the highest probability first.
    MostConfidentMistakes,
}

/// How the evidence is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Grad-CAM of pytorch-grad-cam: the channels of a layer, each weighted by its mean gradient over frames, rows and columns.
    GradCam,
    /// Grad-CAM++ of pytorch-grad-cam: each channel weighted by its positive gradients.
    GradCamPlusPlus,
    /// Grad-CAM of MMAction2: each channel weighted by its mean gradient in each frame.
    GradCamMmaction2,
    /// The attentions of all layers of a transformer, with their residual connections. It does not depend on the class.
    AttentionRollout,
}

impl Method {
    /// Returns the name in pipeline files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GradCam => "grad_cam",
            Self::GradCamPlusPlus => "grad_cam_plus_plus",
            Self::GradCamMmaction2 => "grad_cam_mmaction2",
            Self::AttentionRollout => "attention_rollout",
        }
    }
}

/// How the heads of an attention become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HeadFusion")]
pub enum HeadFusionParam {
    /// Their mean.
    Mean,
    /// The largest of each pair of tokens.
    Max,
    /// The smallest of each pair of tokens.
    Min,
}

/// How pixels are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// They are replaced by the mean of their surroundings, a square of a quarter of the frame's shorter side, three times.
    Blur,
    /// They are replaced by the mean colour of the clip.
    Mean,
}

impl Default for ExplainParams {
    fn default() -> Self {
        Self {
            select: Select::Evenly,
            num_videos: 8,
            videos: Vec::new(),
            method: Method::GradCam,
            target_layer: None,
            target_class: TargetClass::Predicted,
            head_fusion: HeadFusionParam::Mean,
            region: 0.1,
            removal: Removal::Blur,
            random_regions: 8,
            seed: 0,
            fps: 4,
        }
    }
}

impl Params for ExplainParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = Vec::new();
        let mut error = |name: &str, message: &str, help: &str| {
            errors.push(ParamError { path: vec![name.into()], message: message.into(), help: help.into() });
        };
        if !self.videos.is_empty() && self.select != Select::Evenly {
            error("select", "`videos` names the videos already", "leave out one of the two");
        }
        let is_rollout = self.method == Method::AttentionRollout;
        if is_rollout && self.target_layer.is_some() {
            error("target_layer", "attention rollout uses the attentions of all layers", "leave it out");
        }
        if !is_rollout && self.head_fusion != HeadFusionParam::Mean {
            error("head_fusion", "only attention rollout fuses heads", "leave it out");
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ExplainParams, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_target_class_is_a_word_an_index_or_a_name() {
        let check = |text: &str, expect: TargetClass, written: &str| {
            let params = parse(&format!(r#"{{"target_class": {text}}}"#)).expect("valid");
            assert_eq!(params.target_class, expect, "{text}");
            assert_eq!(serde_json::to_string(&params.target_class).expect("JSON"), written);
        };
        check(r#""predicted""#, TargetClass::Predicted, r#""predicted""#);
        check("true", TargetClass::Label, r#""true""#);
        check(r#""true""#, TargetClass::Label, r#""true""#);
        check("3", TargetClass::Index(3), "3");
        check(r#""Biking""#, TargetClass::Name("Biking".into()), r#""Biking""#);
        for text in ["false", "-1", "1.5", "[1]", "99999999999"] {
            let error = parse(&format!(r#"{{"target_class": {text}}}"#)).expect_err(text);
            assert!(error.contains("expected `predicted`, `true`, the index of a class or its name"), "{error}");
        }
    }

    #[test]
    fn parameters_that_exclude_each_other_are_errors() {
        let check = |text: &str, expect: &[&str]| {
            let errors = parse(text).expect("valid").check();
            assert_eq!(errors.iter().map(|error| error.path[0].as_str()).collect::<Vec<_>>(), expect, "{text}");
        };
        check(r#"{"method": "attention_rollout", "head_fusion": "max"}"#, &[]);
        check(r#"{"method": "attention_rollout", "target_layer": "x"}"#, &["target_layer"]);
        check(r#"{"head_fusion": "max"}"#, &["head_fusion"]);
        check(r#"{"videos": ["a"], "select": "most_confident_mistakes"}"#, &["select"]);
    }
}
