//! What a stage is, and how `pipe` talks to the workers that run stages.
//!
//! A stage implements [`Stage`], or [`PartedStage`], and does its work through a [`Context`]. A worker executable is
//! [`serve()`] with a list of stages. The messages between `pipe` and a worker are in [`protocol`]. A worker has [`Helpers`]
//! for what may crash it.

mod bucket;
mod context;
mod error;
mod fields;
mod helper;
pub mod protocol;
mod serve;
mod text;

pub use bucket::{bucket, content_of};
pub use context::{Context, SourceFile, Sources};
pub use error::StageError;
pub use fields::json_fields;
pub use helper::{Helpers, Job, Limits, Loss, SendPiece};
pub use serve::{PARENT_VARIABLE, WorkerInfo, serve};
pub use text::grouped;

use protocol::{MadePart, MakeParts, PlannedPart};

/// The work behind a stage kind.
///
/// The same parameters, inputs and sources must give the same bytes, whatever the number of threads.
pub trait Stage: Sync {
    /// Returns the kind, as in its contract.
    fn kind(&self) -> &'static str;

    /// Does the work: reads inputs and sources, writes below [`Context::output`].
    fn run(&self, context: &Context) -> Result<Summary, StageError>;
}

/// The work behind a stage kind that is made in parts; its contract says whether they are a chain.
///
/// Whatever is made twice must give the same bytes, from scratch, from an older version of a part, or from the middle of
/// a chain.
pub trait PartedStage: Sync {
    /// Returns the kind, as in its contract.
    fn kind(&self) -> &'static str;

    /// Says which parts there are and what decides each. Writes nothing.
    fn plan(&self, context: &Context) -> Result<Vec<PlannedPart>, StageError>;

    /// Makes parts in their folders, and calls [`Context::part_finished`] as each is complete.
    ///
    /// Warnings told here are not kept; what users should know is noted in the part and told by [`Self::assemble`].
    fn make(&self, context: &Context, parts: &MakeParts) -> Result<(), StageError>;

    /// Writes below [`Context::output`] what is made from all parts. The parts' own files are put beside it by the engine.
    fn assemble(&self, context: &Context, parts: &[MadePart]) -> Result<Summary, StageError>;
}

/// A stage of either sort, as a worker lists it.
#[derive(Clone, Copy)]
pub enum AnyStage {
    /// Made in one go.
    Whole(&'static dyn Stage),
    /// Made in parts.
    Parted(&'static dyn PartedStage),
}

impl AnyStage {
    /// Returns the kind, as in its contract.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Whole(stage) => stage.kind(),
            Self::Parted(stage) => stage.kind(),
        }
    }
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
