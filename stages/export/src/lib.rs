//! The stage `export`: a trained network becomes an ONNX file, which is compared with libtorch before it is accepted.
//!
//! | reads | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel` |
//! | `frames`, `samples` | the test views on which both are compared |
//!
//! | writes | |
//! |---|---|
//! | `model.onnx` | input `clip`, output `logits`; labels and preprocessing in its metadata, see `pipe_schemas::ExportMetadata` |
//! | `parity.json` | the largest difference of both |
//!
//! The key holds the parameters, all inputs, and the versions of libtorch, libjpeg-turbo and ONNX Runtime. The path of ONNX
//! Runtime's library, which the worker knows, is not in the key: its version is.

mod error;
mod parity;
mod stage;

pub use error::ExportError;
pub use stage::Export;
