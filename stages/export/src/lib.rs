//! The stage `export`: a trained network becomes an ONNX file, compared with libtorch before it counts.
//!
//! | reads | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel` |
//! | `frames`, `samples` | the test views that both are asked about |
//!
//! | writes | |
//! |---|---|
//! | `model.onnx` | input `clip`, output `logits`; labels and preprocessing in its metadata, see [`metadata()`] |
//! | `parity.json` | how far the two are apart |
//!
//! The key holds the parameters, all inputs, and the versions of libtorch, libjpeg-turbo and ONNX Runtime. Where ONNX
//! Runtime's library lies is told by the worker and is left out: its version counts.

mod error;
mod metadata;
mod parity;
mod stage;

pub use error::ExportError;
pub use metadata::metadata;
pub use stage::Export;
