//! [`Failure`]: why a task failed.

use std::process::{ExitCode, ExitStatus};

/// An error for people.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of a task, with advice.
    Message { message: String, help: Option<String> },
    /// A program failed, and has printed why.
    Program(ExitStatus),
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Message { message: message.into(), help: None }
    }

    pub(crate) fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Message { message, .. } => Self::Message { message, help: Some(text.into()) },
            program @ Self::Program(_) => program,
        }
    }

    /// Returns the text to print; none if the failed program has printed its own.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Message { message, help: Some(help) } => Some(format!("error: {message}\n\n{help}")),
            Self::Message { message, help: None } => Some(format!("error: {message}")),
            Self::Program(_) => None,
        }
    }

    /// Returns the exit code of the failed program, or 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Message { .. } => ExitCode::FAILURE,
            Self::Program(status) => {
                status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}
