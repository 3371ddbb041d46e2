//! The stage `export`: a trained network becomes an ONNX file, which is compared with libtorch before it is accepted.
//!
//! | reads | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel` |
//! | `frames`, `samples` | the test views on which both are compared |
//! | `metrics` | optional: figures for the model card |
//!
//! | writes | |
//! |---|---|
//! | `model.onnx` | input `clip`, output `logits`; labels and preprocessing in its metadata, see `pipe_schemas::ExportMetadata` |
//! | `parity.json` | the largest differences of both, the version of ONNX's operators, and the dynamic axes |
//! | `model.safetensors` | the tensors by our names |
//! | `README.md` | the model card: what is known of the network, and what is not; without a time or a path |
//! | `huggingface/` | `config.json`, `preprocessor_config.json` and `model.safetensors`, if transformers has the network |
//!
//! The key holds the parameters, all inputs, and the versions of libtorch, libjpeg-turbo and ONNX Runtime. The path of ONNX
//! Runtime's library, which the worker knows, is not in the key: its version is.

mod axes;
mod card;
mod error;
mod huggingface;
mod parity;
mod stage;

pub use error::ExportError;
pub use stage::Export;
