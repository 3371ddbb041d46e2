//! Reads published weights (`.pth`, `.pt`, `.safetensors`) without executing code in them, and writes checkpoints.
//!
//! [`Checkpoint::open`] reads a file, [`match_weights`] compares it with the tensors of a network, and [`write_safetensors`] and [`write_torch`]
//! write files. Every file is treated as hostile: a pickle is interpreted by a small machine that understands how tensors are stored and
//! never calls anything, and each size and offset is checked against the file before memory is allocated for it.

mod checkpoint;
mod diff;
mod digest;
mod error;
mod folder;
mod hf_config;
mod legacy;
mod matching;
mod open;
mod origin;
mod pickle;
mod prefix;
mod safe;
mod source;
mod state_dict;
mod tensor;
#[cfg(test)]
mod test_data;
mod torch_write;
mod torch_zip;
mod wrapper;

pub use checkpoint::{Checkpoint, not_finite};
pub use diff::{Distance, compare, difference, difference_beyond};
pub use digest::FileDigests;
pub use error::WeightsError;
pub use hf_config::HfConfig;
pub use matching::{MatchError, Matching, Mismatch, Wanted, match_weights};
pub use origin::{Origin, Prefix, UnsupportedTensor};
pub use safe::write_safetensors;
pub use source::{SourceError, WeightsSource};
pub use tensor::{Dtype, Tensor};
pub use torch_write::write_torch;
