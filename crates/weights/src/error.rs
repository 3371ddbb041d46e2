//! [`WeightsError`]: why a checkpoint can't be read or written.

use std::path::PathBuf;

/// Why a checkpoint can't be read or written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum WeightsError {
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file has none of the known formats.
    #[error("{} is not a checkpoint: {found}, neither a file of torch.save nor safetensors", path.display())]
    UnknownFormat { path: PathBuf, found: &'static str },
    /// It is unclear which files of a folder are meant.
    #[error("can't read weights from the folder {}: {message}", path.display())]
    Folder {
        /// The folder that `load_from` names.
        path: PathBuf,
        /// What is unclear, such as several files of weights.
        message: String,
    },
    /// The file is intact, but has no dictionary of tensors where one is expected.
    #[error("{} has no state dict (a dictionary of names and tensors): it contains {contents}", path.display())]
    NoStateDict {
        path: PathBuf,
        /// What it has instead: the keys of its top level.
        contents: String,
    },
    /// The file is truncated or has invalid content.
    #[error("{} is broken", path.display())]
    Broken { path: PathBuf, source: FormatError },
}

impl WeightsError {
    /// Returns what to do about it, if there is more to say than the error does.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NoStateDict { .. } => Some(
                "save the state dict alone, as `torch.save(model.state_dict(), PATH)` does, or under the key `state_dict`",
            ),
            Self::Io(_) | Self::UnknownFormat { .. } | Self::Folder { .. } | Self::Broken { .. } => None,
        }
    }
}

/// An error in the content of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The data ends early.
    #[error("it ends at byte {len}, in the middle of {what}")]
    Truncated {
        /// The length of the data in bytes.
        len: usize,
        /// The part that is incomplete.
        what: &'static str,
    },
    /// The pickle has an instruction that `torch.save` does not write.
    #[error("the pickle has instruction {opcode:#04x} at byte {offset}, which torch.save does not write")]
    Opcode {
        opcode: u8,
        /// The position in the pickle, in bytes.
        offset: usize,
    },
    /// The pickle is not well-formed.
    #[error("the pickle is not well-formed at byte {offset}: {message}")]
    Pickle {
        /// The position in the pickle, in bytes.
        offset: usize,
        message: &'static str,
    },
    /// The pickle exceeds a limit that no real checkpoint reaches.
    #[error("the pickle has more than {limit} {what}")]
    TooLarge { limit: usize, what: &'static str },
    /// A part of the file is invalid.
    #[error("{what}: {message}")]
    Part {
        /// The part, such as an entry of the archive or a tensor.
        what: String,
        message: String,
    },
    /// The file has no dictionary of names and tensors, or several under unknown keys.
    #[error("no state dict found: the file contains {contents}")]
    NoStateDict { contents: String },
}

impl FormatError {
    pub(crate) fn part(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Part { what: what.into(), message: message.into() }
    }
}
