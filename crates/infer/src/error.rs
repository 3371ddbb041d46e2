//! [`InferError`]: why a model can't be run.

use crate::{ExecutionProvider, InferenceEngine, InferencePrecision, Libraries, ModelFileError};
use std::path::PathBuf;

/// Why a model can't be run.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum InferError {
    /// The file is not a model that can be run.
    #[error(transparent)]
    File(#[from] ModelFileError),
    /// The library does not exist.
    #[error("{} not found at {}", title(*engine), path.display())]
    LibraryMissing {
        engine: InferenceEngine,
        /// The expected path.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not a shared library.
    #[error("{} can't be loaded", path.display())]
    NotALibrary {
        path: PathBuf,
        #[source]
        source: libloading::Error,
    },
    /// The library is not the engine, or is too old.
    #[error("{} can't be used as {}", path.display(), title(*engine))]
    Library {
        engine: InferenceEngine,
        path: PathBuf,
        #[source]
        source: EngineError,
    },
    /// The process has already loaded the engine from another file.
    #[error("can't load {} from {}: this process has already loaded {}", title(*engine), asked.display(), loaded.display())]
    OtherLibrary {
        engine: InferenceEngine,
        loaded: PathBuf,
        /// The library that was requested.
        asked: PathBuf,
    },
    /// The engine fails to start.
    #[error("{} fails to start", title(*engine))]
    Start {
        engine: InferenceEngine,
        #[source]
        source: EngineError,
    },
    /// The library has no such execution provider.
    #[error("{} at {} has no execution provider `{}`", title(*engine), library.display(), provider.name())]
    Provider { engine: InferenceEngine, provider: ExecutionProvider, library: PathBuf },
    /// The engine does not compute in this precision, or not on this processor.
    #[error("{} does not compute in {}{}", title(*engine), precision.name(), where_not(*engine))]
    Precision { engine: InferenceEngine, precision: InferencePrecision },
    /// The engine can't load the model.
    #[error("{} can't load the model {model}", title(*engine))]
    Model {
        engine: InferenceEngine,
        /// The path of the model, or its size if it is not a file.
        model: String,
        #[source]
        source: EngineError,
    },
    /// The number of values does not match the shape.
    #[error("the input has {found} values, which does not match its shape {shape:?}")]
    InputLength {
        /// `[N, C, T, H, W]`.
        shape: [usize; 5],
        found: usize,
    },
    /// The model fails while it runs.
    #[error("the model failed in {}", title(*engine))]
    Run {
        engine: InferenceEngine,
        #[source]
        source: EngineError,
    },
    /// The model has no output.
    #[error("the model has no output")]
    NoOutput,
}

/// An error of an engine's own.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// From ONNX Runtime.
    #[error(transparent)]
    OnnxRuntime(#[from] ort::Error),
    /// ONNX Runtime can't be loaded.
    #[error(transparent)]
    LoadOnnxRuntime(#[from] ort::LoadDynamicError),
    /// From OpenVINO.
    #[error(transparent)]
    OpenVino(#[from] openvino::InferenceError),
    /// OpenVINO can't be set up.
    #[error(transparent)]
    StartOpenVino(#[from] openvino::SetupError),
    /// The C library of OpenVINO can't be opened; the reason.
    #[error("{0}")]
    LoadOpenVino(String),
    /// The output is not what the caller can read.
    #[error("the output is {found}, expected float32")]
    OutputType {
        /// Type of the elements.
        found: String,
    },
}

impl InferError {
    /// Returns what the user can do about it.
    pub fn help(&self) -> Option<String> {
        let variable = |engine: InferenceEngine| match engine {
            InferenceEngine::OnnxRuntime => (Libraries::ONNX_RUNTIME_VARIABLE, "libonnxruntime.so"),
            InferenceEngine::OpenVino => (Libraries::OPENVINO_VARIABLE, "libopenvino_c.so"),
        };
        match self {
            Self::LibraryMissing { engine, .. } | Self::Library { engine, .. } => {
                let (variable, library) = variable(*engine);
                Some(format!("run `cargo xtask setup`, or set {variable} to the path of {library}"))
            }
            Self::NotALibrary { .. } => Some(format!(
                "check {} and {}, or run `cargo xtask setup`",
                Libraries::ONNX_RUNTIME_VARIABLE,
                Libraries::OPENVINO_VARIABLE
            )),
            Self::Provider { engine: InferenceEngine::OnnxRuntime, provider, .. } => Some(format!(
                "set {} to the library of an ONNX Runtime that was built with `{}`, or use the provider `cpu`",
                Libraries::ONNX_RUNTIME_VARIABLE,
                provider.name()
            )),
            Self::Provider { engine: InferenceEngine::OpenVino, .. } => {
                Some("use the provider `cpu`, or the engine `onnxruntime`".into())
            }
            Self::Precision { engine: InferenceEngine::OnnxRuntime, .. } => {
                Some("use the engine `openvino`, or a file that `optimize` quantised to int8".into())
            }
            Self::Precision { engine: InferenceEngine::OpenVino, .. } => {
                Some("use the precision `float32`, or a file that `optimize` quantised to int8".into())
            }
            Self::File(_)
            | Self::OtherLibrary { .. }
            | Self::Start { .. }
            | Self::Model { .. }
            | Self::InputLength { .. }
            | Self::Run { .. }
            | Self::NoOutput => None,
        }
    }
}

/// Returns where an engine does not compute in a precision that it can be asked for.
fn where_not(engine: InferenceEngine) -> &'static str {
    match engine {
        InferenceEngine::OnnxRuntime => ", only in the precision of the file",
        InferenceEngine::OpenVino => " on this processor",
    }
}

fn title(engine: InferenceEngine) -> &'static str {
    match engine {
        InferenceEngine::OnnxRuntime => "ONNX Runtime",
        InferenceEngine::OpenVino => "OpenVINO",
    }
}
