//! `benchmark`: one table of several variants of a network: accuracy, size, cost, latency and memory.

use crate::contract::{
    Check, Contract, InputPort, NamedInput, Numerics, OutputPort, ParamError, Params, PortType, Tolerance, Tool,
    Worker, parse, schema,
};
use crate::engines::InferenceEngine;
use crate::evaluation::Bootstrap;
use crate::tables::BenchmarkRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `benchmark`.
pub const CONTRACT: Contract = Contract {
    kind: "benchmark",
    version: 2,
    summary: "measures models and ONNX files on the same videos: accuracy, size, multiply-adds, latency, memory",
    worker: Some(Worker::Torch),
    open_ports: Some(PortType::Network),
    inputs: &[
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "metrics", port_type: PortType::Metrics, path: "metrics.json" },
        OutputPort { name: "report", port_type: PortType::Report, path: "report" },
    ],
    parts: None,
    numerics: Numerics::Measured(Tolerance { relative: 0.05, absolute: 0.02 }),
    check: Check::Never,
    tools: &[Tool::Libtorch, Tool::LibjpegTurbo, Tool::OnnxRuntime, Tool::OpenVino],
    schema: schema::<BenchmarkParams>,
    parse: parse::<BenchmarkParams>,
};

/// Parameters of `benchmark`. Every input other than `frames` and `samples` is a variant, under a name of your choice: the output `model` of
/// `train`, `pretrained` or `optimize`, which libtorch runs, or the output `onnx` of `export` or `optimize`, which `engines` run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BenchmarkParams {
    /// The variant that the others are compared with: the name of its input. Default: `baseline`.
    pub baseline: String,
    /// The engines that run ONNX files. The first one runs the baseline, if that is an ONNX file. Default: `onnxruntime`.
    pub engines: Vec<InferenceEngine>,
    /// Number of clips per forward pass when latency is measured. Default: 1.
    #[schemars(range(min = 1, max = 64))]
    pub batch_size: u32,
    /// Number of passes per round whose time is measured, after a few that are not. Default: 20.
    #[schemars(range(min = 1, max = 10_000))]
    pub num_runs: u32,
    /// Number of rounds. In each round, every variant is loaded and measured once in a process of its own, so that slow changes of the
    /// machine affect all of them. Default: 3.
    #[schemars(range(min = 1, max = 100))]
    pub num_rounds: u32,
    /// Number of threads of an engine. libtorch always has 2. Default: 2.
    #[schemars(range(min = 1, max = 256))]
    pub threads: u32,
    /// Bootstrap intervals of accuracy and of its change, over videos.
    pub bootstrap: Bootstrap,
}

impl Default for BenchmarkParams {
    fn default() -> Self {
        Self {
            baseline: "baseline".to_owned(),
            engines: vec![InferenceEngine::OnnxRuntime],
            batch_size: 1,
            num_runs: 20,
            num_rounds: 3,
            threads: 2,
            bootstrap: Bootstrap::default(),
        }
    }
}

impl Params for BenchmarkParams {
    fn check(&self) -> Vec<ParamError> {
        let error = |path: &str, message: String, help: &str| ParamError {
            path: vec![path.to_owned()],
            message,
            help: help.to_owned(),
        };
        let mut errors = Vec::new();
        if ["frames", "samples", ""].contains(&self.baseline.as_str()) {
            let message = format!("`{}` is not the name of a variant", self.baseline);
            errors.push(error("baseline", message, "the name of an input with a model or an ONNX file"));
        }
        let repeated = (1..self.engines.len()).find(|at| self.engines[..*at].contains(&self.engines[*at]));
        if let Some(at) = repeated {
            errors.push(error(
                "engines",
                format!("`{}` is listed twice", self.engines[at].name()),
                "name each engine once",
            ));
        }
        if self.engines.is_empty() {
            errors.push(error(
                "engines",
                "no engine is listed".to_owned(),
                "`[onnxruntime]`, or `[onnxruntime, openvino]`",
            ));
        }
        errors
    }

    fn named_input(&self) -> Option<NamedInput> {
        Some(NamedInput { param: "baseline", port: self.baseline.clone(), content: "a model or an ONNX file" })
    }
}

/// The content of `metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkReport {
    /// The variant that the others are compared with.
    pub baseline: String,
    /// The metric of accuracy.
    pub metric: String,
    /// Number of test videos or segments evaluated.
    pub num_videos: u64,
    /// Number of those of the test list that have no samples, and so were not evaluated.
    pub num_missing: u64,
    /// Number of clips per forward pass when latency was measured.
    pub batch_size: u32,
    /// Number of threads of an engine.
    pub threads: u32,
    /// Vendor, family, model and stepping of the processor.
    pub processor: String,
    /// The variants, in the order of their names and of `engines`.
    pub rows: Vec<BenchmarkRow>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baseline_and_engines_are_checked() {
        let check = |text: &str, expect: &[&str]| {
            let params: BenchmarkParams = serde_json::from_str(text).expect("parameters");
            let messages: Vec<String> = params.check().into_iter().map(|error| error.message).collect();
            assert_eq!(messages, expect, "{text}");
        };
        check("{}", &[]);
        check(r#"{"engines": ["openvino", "onnxruntime"]}"#, &[]);
        check(r#"{"baseline": "frames"}"#, &["`frames` is not the name of a variant"]);
        check(r#"{"engines": []}"#, &["no engine is listed"]);
        check(r#"{"engines": ["openvino", "openvino"]}"#, &["`openvino` is listed twice"]);
    }
}
