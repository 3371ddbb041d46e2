//! What a stage is, and how `pipe` talks to the workers that run stages.
//!
//! A stage implements [`Stage`] and does its work through a [`Context`]. A worker executable is [`serve`] with a list of
//! stages. The messages between `pipe` and a worker are in [`protocol`].

mod context;
mod error;
pub mod protocol;
mod serve;
mod text;

pub use context::{Context, SourceFile, Sources};
pub use error::StageError;
pub use serve::{PARENT_VARIABLE, WorkerInfo, serve};
pub use text::grouped;

/// The work behind a stage kind.
pub trait Stage: Sync {
    /// Returns the kind, as in its contract.
    fn kind(&self) -> &'static str;

    /// Does the work: reads inputs and sources, writes below [`Context::output`].
    ///
    /// The same parameters, inputs and sources must give the same bytes, whatever the number of threads.
    fn run(&self, context: &Context) -> Result<Summary, StageError>;
}

/// What a stage tells people once it is done: a few short lines, such as `64 videos, 2 unreadable`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Shown beside the stage's name, the first one always.
    pub lines: Vec<String>,
}

impl Summary {
    /// Returns a summary of one line.
    pub fn line(text: impl Into<String>) -> Self {
        Self { lines: vec![text.into()] }
    }
}
