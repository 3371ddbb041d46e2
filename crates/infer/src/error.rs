//! Why a model can't be run.

use std::path::PathBuf;

/// Why a model can't be run.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// No file where ONNX Runtime should be.
    #[error("no ONNX Runtime at {}", path.display())]
    LibraryMissing {
        /// Where it should be.
        path: PathBuf,
        /// From the file system.
        #[source]
        source: std::io::Error,
    },
    /// A file that is no shared library.
    #[error("{} can't be loaded", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// From the loader.
        #[source]
        source: libloading::Error,
    },
    /// A library that is no ONNX Runtime, or one too old.
    #[error("{} can't be used as ONNX Runtime", path.display())]
    Library {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ort::LoadDynamicError,
    },
    /// A process has one ONNX Runtime.
    #[error("ONNX Runtime was loaded from {} before, {} can't be loaded as well", loaded.display(), asked.display())]
    OtherLibrary {
        /// The one in use.
        loaded: PathBuf,
        /// The one asked for.
        asked: PathBuf,
    },
    /// ONNX Runtime does not start.
    #[error("ONNX Runtime does not start")]
    Start {
        /// From ONNX Runtime.
        #[source]
        source: ort::Error,
    },
    /// A model that ONNX Runtime refuses.
    #[error("ONNX Runtime refuses the model {model}")]
    Model {
        /// Its path, or its size if it was never a file.
        model: String,
        /// From ONNX Runtime.
        #[source]
        source: ort::Error,
    },
    /// As many values as the shape does not say.
    #[error("the input has {found} values, its shape {shape:?} says otherwise")]
    InputLength {
        /// `[N, C, T, H, W]`.
        shape: [usize; 5],
        /// Values given.
        found: usize,
    },
    /// A model that fails while it runs.
    #[error("the model does not run")]
    Run {
        /// From ONNX Runtime.
        #[source]
        source: ort::Error,
    },
    /// A model without a result.
    #[error("the model has no output")]
    NoOutput,
}
