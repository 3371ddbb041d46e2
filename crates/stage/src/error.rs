//! [`StageError`]: any error of a stage, with help for the user.

use std::error::Error;

/// An error of a stage, as the user reads it.
#[derive(Debug)]
pub struct StageError {
    error: Box<dyn Error + Send + Sync>,
    help: Option<String>,
    cause: Cause,
}

/// What an error means for the request.
#[derive(Debug, PartialEq, Eq)]
enum Cause {
    /// The stage failed.
    Failed,
    /// The request was cancelled.
    Cancelled,
    /// The state of this link was dropped and is needed.
    StateNeeded(String),
}

impl StageError {
    /// Adds what the user can do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns a function for `map_err` that adds the help of an error to it.
    pub fn explained<E, H>(help: fn(&E) -> Option<H>) -> impl Fn(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
        H: AsRef<str>,
    {
        move |error| {
            let help = help(&error);
            Self::from(error).with_optional_help(help.as_ref().map(AsRef::as_ref))
        }
    }

    /// Adds what to do about it, if there is something to say.
    #[must_use]
    pub fn with_optional_help(self, help: Option<&str>) -> Self {
        Self { help: help.map(str::to_owned).or(self.help), ..self }
    }

    /// Returns the error for a request that was cancelled.
    pub fn cancelled() -> Self {
        Self { error: "cancelled".into(), help: None, cause: Cause::Cancelled }
    }

    /// Returns the error for a request that needs the state of the link `name`, which was dropped.
    pub fn state_needed(name: &str) -> Self {
        let error = format!("the state of `{name}` was dropped").into();
        Self { error, help: None, cause: Cause::StateNeeded(name.to_owned()) }
    }

    /// Returns an error with a text of one line, for errors that have no type of their own.
    pub fn message(text: impl Into<String>) -> Self {
        Self { error: text.into().into(), help: None, cause: Cause::Failed }
    }

    /// Returns whether the request stopped because it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cause == Cause::Cancelled
    }

    /// Returns the link whose dropped state the request needs.
    pub fn needed_state(&self) -> Option<&str> {
        if let Cause::StateNeeded(name) = &self.cause { Some(name) } else { None }
    }

    /// Returns the error if it has this type.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.error.downcast_ref()
    }

    /// Returns the advice that [`Self::with_help`] added.
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
        Self { error: Box::new(error), help: None, cause: Cause::Failed }
    }
}
