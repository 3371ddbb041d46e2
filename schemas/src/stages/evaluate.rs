//! `evaluate`: a trained network on the test samples.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, ParamError, Params, PortType, SourceSet, Tolerance, Tool, Worker,
    parse, schema,
};
use crate::engines::{InferenceEngine, InferencePrecision};
use crate::evaluation::{Bootstrap, MetricName, MetricOptions, check_metrics};
use crate::networks::AverageClips;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::evaluation::{Figures, Metrics};

/// Contract of `evaluate`.
pub const CONTRACT: Contract = Contract {
    kind: "evaluate",
    version: 9,
    summary: "runs the network on every test view, and writes predictions, metrics with intervals, and a report",
    worker: Some(Worker::Torch),
    open_ports: None,
    inputs: &[
        InputPort { name: "model", port_type: PortType::Model, required: true, or_param: None },
        InputPort { name: "exported", port_type: PortType::Onnx, required: true, or_param: None },
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
        InputPort { name: "labels", port_type: PortType::Annotations, required: false, or_param: None },
        InputPort { name: "videos", port_type: PortType::Videos, required: false, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "metrics", port_type: PortType::Metrics, path: "metrics.json" },
        OutputPort { name: "predictions", port_type: PortType::Predictions, path: "predictions.parquet" },
        OutputPort { name: "report", port_type: PortType::Report, path: "report" },
    ],
    parts: None,
    numerics: Numerics::FloatingPoint(Tolerance { relative: 0.05, absolute: 0.02 }),
    check: Check::Never,
    tools: &[Tool::Libtorch, Tool::LibjpegTurbo, Tool::OnnxRuntime, Tool::OpenVino],
    schema: schema::<EvaluateParams>,
    parse: parse::<EvaluateParams>,
};

/// Parameters of `evaluate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateParams {
    /// The program that runs the network: `libtorch` evaluates the input `model`, the others the input `exported`.
    /// Default: `libtorch`.
    pub engine: EvaluationEngine,
    /// What convolutions and linear layers compute with; `bfloat16` needs `openvino`. Default: `float32`.
    #[serde(skip_serializing_if = "InferencePrecision::is_default")]
    pub precision: InferencePrecision,
    /// Number of views per forward pass. It affects speed and memory, and the rounding of results. Default: 32.
    #[schemars(range(min = 1, max = 4096))]
    pub batch_size: u32,
    /// How the views of a video are averaged. Default: as the model's `cls_head.average_clips` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_clips: Option<AverageClips>,
    /// The metrics to compute. Default: all that are defined for the labels.
    pub metric_list: Vec<MetricName>,
    /// Options of metrics, by their names.
    pub metric_options: MetricOptions,
    /// Bootstrap intervals of the metrics: over videos and, with the input `labels`, over groups of videos.
    pub bootstrap: Bootstrap,
    /// A table of your own that divides the videos for `slices.parquet`: a CSV or TSV file with the column `video_id` first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slices: Option<String>,
    /// Maximum number of mistakes in `mistakes.png`, the most confident first; 0 for no picture. Default: 12.
    #[schemars(range(min = 0, max = 200))]
    pub num_mistakes: u32,
}

impl Default for EvaluateParams {
    fn default() -> Self {
        Self {
            engine: EvaluationEngine::Libtorch,
            precision: InferencePrecision::Float32,
            batch_size: 32,
            average_clips: None,
            metric_list: Vec::new(),
            metric_options: MetricOptions::default(),
            bootstrap: Bootstrap::default(),
            slices: None,
            num_mistakes: 12,
        }
    }
}

/// A program that runs a network for its evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EvaluationEngine {
    /// libtorch, which also trains. It evaluates a trained network.
    Libtorch,
    /// ONNX Runtime. It evaluates an exported file.
    OnnxRuntime,
    /// OpenVINO. It evaluates an exported file.
    OpenVino,
}

impl EvaluationEngine {
    /// Returns the engine that runs exported files; `None` for libtorch.
    pub fn of_exported_files(self) -> Option<InferenceEngine> {
        match self {
            Self::Libtorch => None,
            Self::OnnxRuntime => Some(InferenceEngine::OnnxRuntime),
            Self::OpenVino => Some(InferenceEngine::OpenVino),
        }
    }
}

impl Params for EvaluateParams {
    fn unread_inputs(&self) -> &'static [&'static str] {
        match self.engine.of_exported_files() {
            Some(_) => &["model"],
            None => &["exported"],
        }
    }

    fn conditional_inputs(&self) -> &'static [(&'static str, &'static str)] {
        &[("model", "engine"), ("exported", "engine")]
    }

    fn sources(&self) -> Vec<SourceSet> {
        self.slices.iter().map(|file| SourceSet::of_file("slices", file)).collect()
    }

    fn check(&self) -> Vec<ParamError> {
        let engine = self.engine.of_exported_files().map_or("libtorch", InferenceEngine::name);
        let mut errors = check_metrics(&self.metric_list, &self.metric_options);
        errors.extend(self.precision.check(engine));
        errors
    }
}
