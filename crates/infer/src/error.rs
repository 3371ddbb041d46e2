//! [`InferError`]: why a model can't be run.

use std::path::PathBuf;

/// Why a model can't be run.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum InferError {
    /// The library does not exist.
    #[error("ONNX Runtime not found at {}", path.display())]
    LibraryMissing {
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
    /// The library is not ONNX Runtime, or is too old.
    #[error("{} can't be used as ONNX Runtime", path.display())]
    Library {
        path: PathBuf,
        /// The error of `ort`.
        #[source]
        source: ort::LoadDynamicError,
    },
    /// The process has already loaded ONNX Runtime from another file.
    #[error("can't load ONNX Runtime from {}: this process has already loaded {}", asked.display(), loaded.display())]
    OtherLibrary {
        loaded: PathBuf,
        /// The library that was requested.
        asked: PathBuf,
    },
    /// ONNX Runtime fails to start.
    #[error("ONNX Runtime fails to start")]
    Start {
        #[source]
        source: ort::Error,
    },
    /// ONNX Runtime can't load the model.
    #[error("ONNX Runtime can't load the model {model}")]
    Model {
        /// The path of the model, or its size if it is not a file.
        model: String,
        #[source]
        source: ort::Error,
    },
    /// The number of values does not match the shape.
    #[error("the input has {found} values, which does not match its shape {shape:?}")]
    InputLength {
        /// `[N, C, T, H, W]`.
        shape: [usize; 5],
        found: usize,
    },
    /// The model fails while it runs.
    #[error("the model failed")]
    Run {
        #[source]
        source: ort::Error,
    },
    /// The model has no output.
    #[error("the model has no output")]
    NoOutput,
}
