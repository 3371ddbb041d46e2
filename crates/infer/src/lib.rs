//! Runs ONNX files on inference engines. Start at [`load`], which returns an [`Engine`]; a [`Session`] is a model that is ready to run
//! on a batch of clips.
//!
//! Engines are shared libraries that are loaded when they are first needed; this crate does not link them. A [`ModelFile`] is checked
//! before an engine sees it: files come from anywhere.
//!
//! A new engine is a variant of [`InferenceEngine`], a file with an `impl Engine`, and its lines in [`load`] and [`Libraries`]. The
//! suite in `tests/engines.rs` runs on all of them.

#![warn(clippy::wildcard_enum_match_arm)]

mod engine;
mod error;
mod header;
mod libraries;
mod model_file;
mod onnx_runtime;
mod openvino;
mod wire;

pub use engine::{Engine, Session, SessionOptions, load};
pub use error::{EngineError, InferError};
pub use header::{Dim, ModelPort};
pub use libraries::Libraries;
pub use model_file::{ModelFile, ModelFileError};
pub use onnx_runtime::OnnxRuntime;
pub use openvino::OpenVino;
pub use pipe_schemas::engines::{ExecutionProvider, InferenceEngine, InferencePrecision};
