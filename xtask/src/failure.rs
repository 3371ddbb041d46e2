//! [`Failure`]: what a task ends with when it can't go on.

use std::process::{ExitCode, ExitStatus};

/// What went wrong, for people.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something of our own, with what to do about it.
    Told { message: String, help: Option<String> },
    /// A program failed that has already said why.
    Program(ExitStatus),
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Told { message: message.into(), help: None }
    }

    pub(crate) fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Told { message, .. } => Self::Told { message, help: Some(text.into()) },
            program @ Self::Program(_) => program,
        }
    }

    /// Returns what is to be shown, if anything is left to say.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Told { message, help: Some(help) } => Some(format!("error: {message}\n\n{help}")),
            Self::Told { message, help: None } => Some(format!("error: {message}")),
            Self::Program(_) => None,
        }
    }

    /// Returns the failed program's own code where there is one.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Told { .. } => ExitCode::FAILURE,
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
