//! Reads published weights (`.pth`, `.pt`, `.safetensors`) without running anything in them, and writes checkpoints.
//!
//! [`Checkpoint::open`] reads a file, [`match_weights`] decides what of it a network takes, [`write_safetensors`] writes.
//! A file is taken for hostile: a pickle is interpreted by a small machine that knows how tensors are written and calls
//! nothing, and each size and offset is checked against the file before memory is reserved for it.

mod checkpoint;
mod diff;
mod error;
mod legacy;
mod matching;
mod pickle;
mod safe;
mod state_dict;
mod tensor;
mod torch_zip;

pub use checkpoint::Checkpoint;
pub use diff::{difference, difference_beyond};
pub use error::WeightsError;
pub use matching::{LoadReport, MatchError, Mismatch, Wanted, match_weights};
pub use safe::write_safetensors;
pub use tensor::{Dtype, Tensor};
