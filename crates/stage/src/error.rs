//! [`StageError`]: any error of a stage, with what to do about it.

use std::error::Error;

/// An error of a stage on its way to the user.
#[derive(Debug)]
pub struct StageError {
    error: Box<dyn Error + Send + Sync>,
    help: Option<String>,
    cancelled: bool,
}

impl StageError {
    /// Adds what the user can do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns the error for a request that was told to stop.
    pub fn cancelled() -> Self {
        Self { error: "cancelled".into(), help: None, cancelled: true }
    }

    /// Returns an error of one line; for what no error type of a library holds.
    pub fn message(text: impl Into<String>) -> Self {
        Self { error: text.into().into(), help: None, cancelled: false }
    }

    /// Returns whether the request stopped because it was told to.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Returns what the user can do.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Returns the error's text and those of its causes, outermost first.
    pub fn chain(&self) -> Vec<String> {
        let mut texts = vec![self.error.to_string()];
        let mut source = self.error.source();
        while let Some(cause) = source {
            texts.push(cause.to_string());
            source = cause.source();
        }
        texts
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for StageError {
    fn from(error: E) -> Self {
        Self { error: Box::new(error), help: None, cancelled: false }
    }
}
