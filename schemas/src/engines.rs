//! [`InferenceEngine`]: the programs that run an exported file.

use crate::contract::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program that runs an ONNX file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InferenceEngine {
    /// ONNX Runtime.
    #[default]
    OnnxRuntime,
    /// OpenVINO, on the CPU.
    OpenVino,
}

/// The part of ONNX Runtime that computes. OpenVINO always uses the CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionProvider {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, if the library of ONNX Runtime was built with CUDA.
    Cuda,
    /// TensorRT on an NVIDIA GPU, if the library of ONNX Runtime was built with TensorRT.
    TensorRt,
}

/// What convolutions and linear layers compute with. Inputs, logits and probabilities have 32 bits in each case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InferencePrecision {
    /// The precision of the file: 32 bits, or integers where the file has int8.
    #[default]
    Float32,
    /// bfloat16, with OpenVINO on a processor that computes in it. Logits move by about 2 % of the largest.
    Bfloat16,
}

impl InferenceEngine {
    /// Every engine.
    pub const ALL: [Self; 2] = [Self::OnnxRuntime, Self::OpenVino];

    /// Returns the name in parameters, on the command line, and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnnxRuntime => "onnxruntime",
            Self::OpenVino => "openvino",
        }
    }
}

impl ExecutionProvider {
    /// Every execution provider.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Cuda, Self::TensorRt];

    /// Returns the name in parameters and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
        }
    }
}

impl InferencePrecision {
    /// Every precision.
    pub const ALL: [Self; 2] = [Self::Float32, Self::Bfloat16];

    /// Returns the name in parameters, on the command line, and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
        }
    }

    /// Checks the parameter `precision` of a stage against its parameter `engine`.
    pub(crate) fn check(self, engine: &str) -> Option<ParamError> {
        if self == Self::Float32 || engine == InferenceEngine::OpenVino.name() {
            return None;
        }
        Some(ParamError {
            path: vec!["precision".into()],
            message: format!("`engine: {engine}` does not compute in {}", self.name()),
            help: "use `float32`, or `engine: openvino`, which runs exported files".into(),
        })
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_serde() {
        for engine in InferenceEngine::ALL {
            assert_eq!(serde_json::to_value(engine).expect("JSON"), engine.name());
        }
        for provider in ExecutionProvider::ALL {
            assert_eq!(serde_json::to_value(provider).expect("JSON"), provider.name());
        }
        for precision in InferencePrecision::ALL {
            assert_eq!(serde_json::to_value(precision).expect("JSON"), precision.name());
        }
    }
}
