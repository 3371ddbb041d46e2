//! [`Engine`] and [`Session`]: what every inference engine does.

use crate::{
    ExecutionProvider, InferError, InferenceEngine, InferencePrecision, Libraries, ModelFile, OnnxRuntime, OpenVino,
};
use std::collections::BTreeMap;
use std::fmt;

/// A loaded inference engine.
pub trait Engine: Send + Sync + fmt::Debug {
    /// Returns which engine it is.
    fn kind(&self) -> InferenceEngine;

    /// Returns the version that the library reports, such as `1.31.1`.
    fn version(&self) -> &str;

    /// Prepares a model.
    ///
    /// # Errors
    /// [`InferError::Model`] if the engine refuses the model, [`InferError::Provider`] if it has no such execution provider,
    /// [`InferError::Precision`] if it does not compute in this precision here.
    fn open(&self, model: &ModelFile, options: SessionOptions) -> Result<Box<dyn Session>, InferError>;

    /// Returns name and version, such as `onnxruntime 1.31.1`.
    fn title(&self) -> String {
        format!("{} {}", self.kind().name(), self.version())
    }

    /// Returns name, version, and a precision other than float32, such as `openvino 2026.4.1 in bfloat16`.
    fn title_in(&self, precision: InferencePrecision) -> String {
        match precision {
            InferencePrecision::Float32 => self.title(),
            InferencePrecision::Bfloat16 => format!("{} in {}", self.title(), precision.name()),
        }
    }
}

/// A model that is ready to run.
pub trait Session: Send + fmt::Debug {
    /// Runs the model on one batch and returns its first output: the shape, and the values in row-major order.
    ///
    /// # Shapes
    /// - `data`: `[N, C, T, H, W]`, row-major, for the input `input_name`
    ///
    /// # Errors
    /// [`InferError::InputLength`] if the length of `data` is not the product of `shape`, [`InferError::Run`] if the model fails.
    fn run(&mut self, input_name: &str, shape: [usize; 5], data: Vec<f32>) -> Result<(Vec<i64>, Vec<f32>), InferError>;

    /// Returns the settings that affect the results, such as `INFERENCE_PRECISION_HINT: f32`.
    fn settings(&self) -> BTreeMap<&'static str, String>;
}

/// How a model is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// Number of threads per operation; 0 lets the engine choose.
    pub threads: usize,
    /// What computes. OpenVINO has the CPU only.
    pub provider: ExecutionProvider,
    /// What convolutions and linear layers compute with.
    pub precision: InferencePrecision,
}

impl SessionOptions {
    /// Returns options for the CPU; 0 threads let the engine choose.
    pub fn threads(threads: usize) -> Self {
        Self { threads, ..Self::default() }
    }
}

/// Loads an engine, or returns the one that this process has loaded from the same library.
///
/// # Errors
/// [`InferError`] if the library is missing or can't be used; [`InferError::help`] returns what to do.
pub fn load(engine: InferenceEngine, libraries: &Libraries) -> Result<Box<dyn Engine>, InferError> {
    Ok(match engine {
        InferenceEngine::OnnxRuntime => Box::new(OnnxRuntime::load(&libraries.onnx_runtime)?),
        InferenceEngine::OpenVino => Box::new(OpenVino::load(&libraries.openvino)?),
    })
}

/// Checks that the values of an input are as many as its shape has.
pub(crate) fn check_length(shape: [usize; 5], found: usize) -> Result<(), InferError> {
    let expected = shape.iter().try_fold(1_usize, |values, size| values.checked_mul(*size));
    if expected == Some(found) { Ok(()) } else { Err(InferError::InputLength { shape, found }) }
}
