//! [`RunError`]: what can go wrong around stages.

use pipe_cache::CacheError;
use std::path::PathBuf;

/// What can go wrong around stages; what goes wrong inside one is its [`Failure`](crate::events::Failure).
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file can't be read or written; the message names it.
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
    OddName {
        /// The file.
        path: PathBuf,
    },
    /// A source file keeps changing.
    #[error("{} changes while it is read", path.display())]
    Restless {
        /// The file.
        path: PathBuf,
    },
    /// A glob of a command's sources matches nothing.
    #[error("no file matches the source `{glob}`")]
    NoSource {
        /// The glob, relative to the folder `pipe` runs in.
        glob: String,
    },
    /// There is no such stage.
    #[error("the pipeline has no stage `{name}`; it has {known}")]
    NoStage {
        /// As asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The action was told to stop before it had begun.
    #[error("stopped")]
    Stopped,
    /// No executor runs stages of this kind.
    #[error("no executor runs stages of the kind `{kind}`")]
    NoExecutor {
        /// The stage kind.
        kind: &'static str,
    },
    /// A worker can't be used.
    #[error("{worker} can't be used ({}): {reason}", program.display())]
    Worker {
        /// Where it was looked for.
        program: PathBuf,
        /// Which one.
        worker: &'static str,
        /// Why not.
        reason: String,
    },
    /// A worker does not say the version of a library.
    #[error("{worker} does not say its version of {tool}; install `pipe` and its workers from the same build")]
    Tool {
        /// Which worker.
        worker: &'static str,
        /// Which library.
        tool: &'static str,
    },
}
