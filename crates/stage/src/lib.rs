//! The traits of stages, and the protocol between `pipe` and the workers that run stages.
//!
//! A stage implements [`Stage`], or [`PartedStage`], and does its work through a [`Context`]. A worker executable is
//! [`serve()`] with a list of stages. The messages between `pipe` and a worker are in [`protocol`]. Work that may crash runs in
//! [`Helpers`], child processes of a worker.

mod bucket;
mod context;
mod environment;
mod error;
mod fields;
mod helper;
pub mod protocol;
mod serve;
mod text;
mod threads;

pub use bucket::{bucket, content_of};
pub use context::{Context, SourceFile, Sources};
pub use environment::{Environment, environment};
pub use error::StageError;
pub use fields::json_fields;
pub use helper::{HelperFailure, Helpers, Job, JobFailure, JobLimits, SendPiece};
pub use serve::{PARENT_VARIABLE, WorkerInfo, die_with_parent, serve, start};
pub use text::{grouped, size_text};

use protocol::{Made, MadePart, MakeParts, PlannedPart};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A stage that is made in one go.
///
/// Equal parameters, inputs and sources must give equal bytes; for exact stages, with any number of threads.
pub trait Stage: Sync {
    /// Returns the kind, as in its contract.
    fn kind(&self) -> &'static str;

    /// Runs the stage: reads inputs and sources, writes below [`Context::output`].
    fn run(&self, context: &Context) -> Result<Summary, StageError>;
}

/// A stage that is made in parts. Its contract says whether they are independent or a chain.
///
/// A part that is made again must give the same bytes, whether from scratch, from an older version of the part, or from the
/// middle of a chain.
pub trait PartedStage: Sync {
    /// Returns the kind, as in its contract.
    fn kind(&self) -> &'static str;

    /// Returns the parts and everything that determines each. Writes nothing.
    fn plan(&self, context: &Context) -> Result<Vec<PlannedPart>, StageError>;

    /// Makes parts in their folders, and calls [`Context::part_finished`] as each is complete.
    ///
    /// For a chain, the first part starts from [`MakeParts::resume_from`]. The chain may end early, for example because the
    /// notes of `parts.earlier` show that training does not improve any more: then this returns [`Made::ChainEnded`].
    ///
    /// Warnings are not kept here. Write what users should know into the part's notes, and report it in [`Self::assemble`].
    fn make(&self, context: &Context, parts: &MakeParts) -> Result<Made, StageError>;

    /// Writes below [`Context::output`] what is made from all parts. The engine adds the parts' own files.
    fn assemble(&self, context: &Context, parts: &[MadePart]) -> Result<Summary, StageError>;
}

/// A stage in a worker's list.
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

/// What a stage reports of its result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// A few short lines for people, such as `64 videos, 2 unreadable`. The first one is always shown.
    pub lines: Vec<String>,
    /// Numbers that describe the result, such as `loss` and `top1`. The lock file keeps those of floating-point stages.
    #[serde(with = "protocol::values")]
    pub figures: BTreeMap<String, f64>,
    /// For a chain: how many of its first links the result is made from; `None` if from all of them.
    pub used_parts: Option<usize>,
    /// For a chain: the links whose states are kept, by name; `None` for the state of the last used link. The states of all
    /// other links are dropped.
    pub kept_states: Option<Vec<String>>,
}

impl Summary {
    /// Returns a summary of several lines.
    pub fn lines(lines: Vec<String>) -> Self {
        Self { lines, ..Self::default() }
    }

    /// Adds numbers that describe the result.
    #[must_use]
    pub fn with_figures<'a>(mut self, figures: impl IntoIterator<Item = (&'a str, f64)>) -> Self {
        self.figures.extend(figures.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// Returns a summary of one line.
    pub fn line(text: impl Into<String>) -> Self {
        Self::lines(vec![text.into()])
    }
}
