//! [`Checkpoint`]: the tensors of a file by name. `open.rs` reads it.

use crate::Tensor;
use crate::error::FormatError;
use std::collections::BTreeMap;

/// The tensors of a file by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The tensors by name, without the prefix `module.` that PyTorch's data parallelism adds.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    pub(crate) fn insert(&mut self, name: &str, tensor: Tensor) -> Result<(), FormatError> {
        let name = name.strip_prefix("module.").unwrap_or(name);
        if self.tensors.insert(name.to_owned(), tensor).is_some() {
            return Err(FormatError::part(format!("tensor `{name}`"), "it is defined twice"));
        }
        Ok(())
    }
}
