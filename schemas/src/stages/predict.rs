//! `predict`: an exported network on videos without labels.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, ParamError, Params, PortType, Tolerance, Tool, Worker, parse,
    schema,
};
use crate::engines::{ExecutionProvider, InferenceEngine, InferencePrecision};
use crate::stages::ingest::DecodeLimits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `predict`.
pub const CONTRACT: Contract = Contract {
    kind: "predict",
    version: 1,
    summary: "decodes videos and runs an exported network on them, with the preprocessing of its evaluation",
    worker: Some(Worker::Infer),
    open_ports: None,
    inputs: &[
        InputPort { name: "exported", port_type: PortType::Onnx, required: true, or_param: None },
        InputPort { name: "videos", port_type: PortType::Videos, required: true, or_param: None },
    ],
    outputs: &[OutputPort {
        name: "predictions",
        port_type: PortType::VideoPredictions,
        path: "video_predictions.parquet",
    }],
    parts: None,
    numerics: Numerics::FloatingPoint(Tolerance { relative: 0.05, absolute: 0.02 }),
    check: Check::Never,
    tools: &[Tool::Ffmpeg, Tool::LibjpegTurbo, Tool::OnnxRuntime, Tool::OpenVino],
    schema: schema::<PredictParams>,
    parse: parse::<PredictParams>,
};

/// Parameters of `predict`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PredictParams {
    /// The program that runs the network. Default: `onnxruntime`.
    pub engine: InferenceEngine,
    /// What computes, with `onnxruntime`. Default: `cpu`.
    pub provider: ExecutionProvider,
    /// What convolutions and linear layers compute with; `bfloat16` needs `openvino`. Default: `float32`.
    #[serde(skip_serializing_if = "InferencePrecision::is_default")]
    pub precision: InferencePrecision,
    /// Number of views per forward pass. It affects speed and memory, and the rounding of results. Default: 8.
    #[schemars(range(min = 1, max = 4096))]
    pub batch_size: u32,
    /// Limits of decoding one video. A video that exceeds them has no prediction.
    pub limits: DecodeLimits,
}

impl Default for PredictParams {
    fn default() -> Self {
        Self {
            engine: InferenceEngine::default(),
            provider: ExecutionProvider::default(),
            precision: InferencePrecision::default(),
            batch_size: 8,
            limits: DecodeLimits::default(),
        }
    }
}

impl Params for PredictParams {
    fn check(&self) -> Vec<ParamError> {
        let provider =
            (self.engine == InferenceEngine::OpenVino && self.provider != ExecutionProvider::Cpu).then(|| ParamError {
                path: vec!["provider".into()],
                message: format!("`engine: openvino` has no execution provider `{}`", self.provider.name()),
                help: "use `cpu`, or `engine: onnxruntime`".into(),
            });
        provider.into_iter().chain(self.precision.check(self.engine.name())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_does_not_have_is_an_error() {
        let check = |json: &str| {
            let params: PredictParams = serde_json::from_str(json).expect("parameters");
            params.check().into_iter().map(|error| error.message).collect::<Vec<_>>()
        };
        assert!(check("{}").is_empty());
        assert!(check(r#"{"provider": "cuda"}"#).is_empty());
        assert!(check(r#"{"engine": "openvino", "precision": "bfloat16"}"#).is_empty());
        assert_eq!(check(r#"{"precision": "bfloat16"}"#), ["`engine: onnxruntime` does not compute in bfloat16"]);
        let both = check(r#"{"engine": "openvino", "provider": "tensorrt"}"#);
        assert_eq!(both, ["`engine: openvino` has no execution provider `tensorrt`"]);
    }
}
