//! Runs ONNX files on ONNX Runtime. Start at [`Runtime::load`].
//!
//! ONNX Runtime is a shared library that is loaded when the first [`Runtime`] is created; this crate does not link it. A [`Session`] is a
//! model that is ready to run on a batch of clips.

mod error;
mod runtime;
mod session;

pub use error::InferError;
pub use runtime::Runtime;
pub use session::Session;
