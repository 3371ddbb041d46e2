//! Runs ONNX files on ONNX Runtime, which is loaded from a shared library when asked for. Start at [`Runtime::load`].

mod error;
mod runtime;
mod session;

pub use error::InferError;
pub use runtime::Runtime;
pub use session::Session;
