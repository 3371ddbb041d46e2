//! [`CommandError`]: why a command did not do its work. `main` prints it, once.

use crate::exit::Code;
use pipe_engine::Problems;
use std::error::Error;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// Arguments that clap accepts one by one, and not together.
    Usage(clap::Error),
    /// Mistakes in a pipeline file or in `.pipe/config.yaml`.
    Problems(Problems),
    /// An argument names something that does not exist, or does not fit the pipeline file.
    BadInput(Box<dyn Error>),
    /// A remote is needed, and none is set.
    NoRemote,
    /// Anything else that went wrong.
    Failed(Box<dyn Error>),
}

impl CommandError {
    /// Returns the error of an argument, with a message.
    pub(crate) fn bad_input(message: impl Into<String>) -> Self {
        Self::BadInput(message.into().into())
    }

    /// Returns an error with a message.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into().into())
    }

    /// Returns the exit code that stands for it.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Usage(_) | Self::Problems(_) | Self::BadInput(_) | Self::NoRemote => Code::BadInput,
            Self::Failed(_) => Code::Failed,
        }
    }
}

impl<E: Error + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error))
    }
}
