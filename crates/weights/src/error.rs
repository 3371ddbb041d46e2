//! [`WeightsError`]: what can be wrong with a checkpoint file.

use std::path::PathBuf;

/// What can be wrong with a checkpoint file.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// It can't be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is none of the formats.
    #[error("{} is no checkpoint: neither a file of torch.save nor safetensors", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// It breaks off, or holds what the format does not allow.
    #[error("{} is broken", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: FormatError,
    },
}

/// What is wrong inside a checkpoint, without the file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It ends early.
    #[error("it ends at byte {len}, in the middle of {what}")]
    Truncated {
        /// Where it ends.
        len: usize,
        /// In what.
        what: &'static str,
    },
    /// The pickle has an instruction that `torch.save` does not write.
    #[error("the pickle has instruction {opcode:#04x} at byte {offset}, which torch.save does not write")]
    Opcode {
        /// The instruction.
        opcode: u8,
        /// Where in the pickle.
        offset: usize,
    },
    /// The pickle is not well-formed.
    #[error("the pickle is not well-formed at byte {offset}: {message}")]
    Pickle {
        /// Where in the pickle.
        offset: usize,
        /// What is wrong.
        message: &'static str,
    },
    /// The pickle needs more room than any checkpoint does.
    #[error("the pickle makes more than {limit} {what}")]
    TooLarge {
        /// The limit passed.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// A part of the file is not what it should be.
    #[error("{what}: {message}")]
    Part {
        /// Which part: an entry of the archive, a tensor.
        what: String,
        /// What is wrong.
        message: String,
    },
    /// There is no mapping of names to tensors.
    #[error("it holds no state dict: no mapping of names to tensors, neither at the top nor under {keys}")]
    NoStateDict {
        /// The keys looked under.
        keys: String,
    },
}

impl FormatError {
    pub(crate) fn part(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Part { what: what.into(), message: message.into() }
    }
}
