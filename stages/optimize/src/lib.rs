//! The stage `optimize`: prunes a trained network and writes it as ONNX with 32, 16 or 8 bits.
//!
//! | reads | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel` |
//! | `samples`, `frames` | training clips for calibration, test views for the comparison |
//!
//! | writes | |
//! |---|---|
//! | `model/` | the pruned network; that of the input without `prune` |
//! | `model.onnx` | the network with folded batch normalisations, in the numbers of `quantize` |
//! | `report.json` | what was removed from which layers, what stays whole and why, and the ONNX file against libtorch |
//!
//! The key has all parameters, all inputs and the versions of libtorch, libjpeg-turbo and ONNX Runtime.

mod calibrate;
mod compare;
mod error;
mod prune;
mod stage;

pub use error::OptimizeError;
pub use stage::Optimize;
