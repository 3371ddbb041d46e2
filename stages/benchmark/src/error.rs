//! [`BenchmarkError`]: why variants can't be compared.

use pipe_predict::PredictError;
use std::path::PathBuf;

/// Why variants can't be compared.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum BenchmarkError {
    /// There is nothing to measure.
    #[error("no input has a model or an ONNX file")]
    NoVariants,
    /// The baseline is not connected.
    #[error("`baseline` is `{baseline}`, but the variants are {}", variants.join(", "))]
    NoBaseline { baseline: String, variants: Vec<String> },
    /// No engine ran the baseline.
    #[error("the baseline `{baseline}` does not run: {reason}")]
    BaselineFailed { baseline: String, reason: String },
    /// An input is neither a model nor an ONNX file.
    #[error("the input `{name}` ({}) is neither a model folder nor an ONNX file", path.display())]
    NotAVariant { name: String, path: PathBuf },
    /// A file can't be run.
    #[error("the input `{name}` can't be measured")]
    File { name: String, source: PredictError },
    /// No metric is defined for the labels.
    #[error("no metric is defined for these labels")]
    NoMetric,
}
