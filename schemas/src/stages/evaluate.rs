//! `evaluate`: a trained network on the test samples.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, Params, PortType, Tolerance, Tool, Worker, parse, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `evaluate`.
pub const CONTRACT: Contract = Contract {
    kind: "evaluate",
    version: 4,
    summary: "runs the network on every test view and writes predictions and metrics",
    worker: Some(Worker::Torch),
    open_ports: false,
    inputs: &[
        InputPort { name: "model", port_type: PortType::Model, required: true, or_param: None },
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "metrics", port_type: PortType::Metrics, path: "metrics.json" },
        OutputPort { name: "predictions", port_type: PortType::Predictions, path: "predictions.parquet" },
    ],
    parts: None,
    numerics: Numerics::FloatingPoint(Tolerance { relative: 0.05, absolute: 0.02 }),
    check: Check::Never,
    tools: &[Tool::Libtorch, Tool::LibjpegTurbo],
    schema: schema::<EvaluateParams>,
    parse: parse::<EvaluateParams>,
};

/// Parameters of `evaluate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateParams {
    /// Views a forward pass; it changes speed and memory, not results beyond rounding.
    #[schemars(range(min = 1, max = 4096))]
    pub batch_size: u32,
}

impl Default for EvaluateParams {
    fn default() -> Self {
        Self { batch_size: 32 }
    }
}

impl Params for EvaluateParams {}

/// The content of `metrics.json`. Rates are shares of `num_videos`, from 0 to 1. What does not apply is left out: videos with
/// several labels have a mean average precision, others the first three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Share of videos whose highest class is theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top1: Option<f64>,
    /// Share of videos whose class is among the five highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top5: Option<f64>,
    /// Mean over the classes that occur, as target or as prediction, of the share found (MMAction2's definition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_class_accuracy: Option<f64>,
    /// Mean over the classes that occur as a label of the average precision (MMAction2's definition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_average_precision: Option<f64>,
    /// Mean cross-entropy of the averaged probabilities, in nats; of several labels the binary one, a class.
    pub loss: f64,
    /// Videos, or segments, evaluated: the denominator.
    pub num_videos: u64,
    /// Videos of the test list that could not be evaluated: absent or undecodable.
    pub num_missing: u64,
    /// Views evaluated.
    pub num_views: u64,
    /// Classes of the network.
    pub num_classes: u64,
}
