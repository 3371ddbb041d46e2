//! [`RunError`]: an error around stages.

use pipe_cache::CacheError;
use std::path::PathBuf;

/// An error around stages. An error inside a stage is its [`Failure`](crate::events::Failure).
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum RunError {
    /// A file can't be read or written; the message contains its path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A record can't be written as JSON.
    #[error("a record can't be written")]
    Json(#[from] serde_json::Error),
    /// A glob can't be parsed.
    #[error(transparent)]
    Glob(#[from] globset::Error),
    /// A source file's name is not UTF-8.
    #[error("{} has a name that is not UTF-8; rename or exclude it", path.display())]
    OddName { path: PathBuf },
    /// A source file changes while it is read.
    #[error("{} changes while it is read", path.display())]
    Restless { path: PathBuf },
    /// A glob of a command's sources matches nothing.
    #[error("no file matches the source `{glob}`")]
    NoSource {
        /// The glob, relative to the folder `pipe` runs in.
        glob: String,
    },
    /// A stage name on the command line is unknown.
    #[error("the pipeline has no stage `{name}`; it has {known}")]
    NoStage {
        name: String,
        /// The most similar name, or all names.
        known: String,
    },
    /// A stage has no result, and this user may not write one.
    #[error("this user may not write to {}", path.display())]
    ReadOnlyStore {
        /// The `.pipe` folder.
        path: PathBuf,
    },
    /// A program wrote to an input in the store.
    #[error("the input `{port}` was changed while the stage ran: {what}")]
    InputChanged {
        port: String,
        /// The damaged object, its fault, and its folder in the store.
        what: String,
    },
    /// A damaged object of the store can't be moved away.
    #[error("{what}, and it can't be moved out of the way: {why}")]
    DamageInPlace { what: String, why: String },
    /// A stage is selected, and `--until` leaves it out.
    #[error("`--until` leaves out `{name}`: it depends on {until}; remove one of the two")]
    LeftOut {
        name: String,
        /// The stages after which the run ends.
        until: String,
    },
    /// A stage that should run again is not among the selected ones.
    #[error(
        "`{option} {name}` has no effect: the selection does not include this stage; add `{name}` to the stages to run"
    )]
    NotSelected {
        /// The option that names it.
        option: &'static str,
        name: String,
    },
    /// The action was cancelled before it started.
    #[error("stopped")]
    Stopped,
    /// No executor runs stages of this kind.
    #[error("no executor runs stages of the kind `{kind}`")]
    NoExecutor { kind: &'static str },
    /// A worker can't be started, or is of another version.
    #[error("{worker} can't be used ({}): {reason}", program.display())]
    Worker { program: PathBuf, worker: &'static str, reason: String },
    /// A worker does not report the version of a library.
    #[error("{worker} does not report its version of {tool}; install `pipe` and its workers from the same build")]
    Tool { worker: &'static str, tool: &'static str },
}

impl RunError {
    /// Returns whether the command line is wrong: nothing ran.
    pub fn is_bad_selection(&self) -> bool {
        matches!(self, Self::NoStage { .. } | Self::LeftOut { .. } | Self::NotSelected { .. })
    }

    /// Returns what the user can do about it, if the message does not say it.
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::InputChanged { .. } => Some(
                "a program must not write to its inputs; let it work on a copy, and run again: what was damaged is made again",
            ),
            Self::ReadOnlyStore { .. } => Some("a run of this pipeline by a user who may write there makes the result"),
            Self::Io(_)
            | Self::Cache(_)
            | Self::Json(_)
            | Self::Glob(_)
            | Self::OddName { .. }
            | Self::Restless { .. }
            | Self::DamageInPlace { .. }
            | Self::NoSource { .. }
            | Self::NoStage { .. }
            | Self::LeftOut { .. }
            | Self::NotSelected { .. }
            | Self::Stopped
            | Self::NoExecutor { .. }
            | Self::Worker { .. }
            | Self::Tool { .. } => None,
        }
    }
}
