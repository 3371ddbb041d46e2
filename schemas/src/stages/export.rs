//! `export`: a trained network becomes an ONNX file, which is compared with libtorch before it is accepted.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, Params, PortType, Tolerance, Tool, Worker, parse, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `export`.
pub const CONTRACT: Contract = Contract {
    kind: "export",
    version: 6,
    summary: "writes ONNX, safetensors, a model card and a Hugging Face folder, and compares ONNX with libtorch on test clips",
    worker: Some(Worker::Torch),
    open_ports: None,
    inputs: &[
        InputPort { name: "model", port_type: PortType::Model, required: true, or_param: None },
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
        InputPort { name: "metrics", port_type: PortType::Metrics, required: false, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "onnx", port_type: PortType::Onnx, path: "model.onnx" },
        OutputPort { name: "parity", port_type: PortType::Metrics, path: "parity.json" },
    ],
    parts: None,
    numerics: Numerics::FloatingPoint(Tolerance { relative: 0.05, absolute: 0.02 }),
    check: Check::Never,
    tools: &[Tool::Libtorch, Tool::LibjpegTurbo, Tool::OnnxRuntime],
    schema: schema::<ExportParams>,
    parse: parse::<ExportParams>,
};

/// Parameters of `export`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExportParams {
    /// Number of test views to compare on. Default: 16.
    #[schemars(range(min = 1, max = 10_000))]
    pub parity_views: u32,
    /// The largest allowed difference of a logit, as a share of the largest logit (but at least of 1). Default: 0.001.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub tolerance: f64,
    /// Whether the ONNX file takes clips of other lengths and sizes, as far as the network allows. The batch is always dynamic.
    /// `parity.json` says which axes are. Default: false.
    pub dynamic_axes: bool,
}

impl Default for ExportParams {
    fn default() -> Self {
        Self { parity_views: 16, tolerance: 1e-3, dynamic_axes: false }
    }
}

impl Params for ExportParams {}

/// The content of `parity.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// Number of views compared: at most `parity_views`, spread evenly over all test views.
    pub num_views: u64,
    /// Number of test views in the samples; `num_views` of them were compared.
    pub num_test_views: u64,
    /// The largest absolute difference of a logit.
    pub max_abs_diff: f64,
    /// The largest absolute logit of libtorch.
    pub max_abs_logit: f64,
    /// The largest difference of a logit relative to the largest logit of its view.
    pub max_rel_diff: f64,
    /// Share of views for which both predict the same class.
    pub top1_agreement: f64,
    /// Name and version of the other runtime, such as `onnxruntime 1.31.1`.
    pub runtime: String,
    /// The version of ONNX's operators.
    pub opset: i64,
    /// The axes of the input that may have other sizes, such as `["N"]` or `["N", "T", "H", "W"]`.
    pub dynamic_axes: Vec<String>,
    /// The axes that may have other sizes if `dynamic_axes` is set.
    pub possible_dynamic_axes: Vec<String>,
}
