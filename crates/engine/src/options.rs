//! [`RunOptions`]: how to run a plan and which of its stages.

use crate::LockFile;
use pipe_cache::Remote;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// Paths of the executables of `pipe`.
#[derive(Debug, Clone)]
pub struct Executables {
    /// The folder that holds the workers.
    pub workers: PathBuf,
    /// `pipe` itself; see [`crate::reaper`].
    pub pipe: PathBuf,
}

/// How to run a plan.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The `.pipe` folder.
    pub root: PathBuf,
    /// Paths of the executables of `pipe`.
    pub executables: Executables,
    /// Environment variables of commands.
    pub environment: Vec<(String, OsString)>,
    /// Maximum number of stages that run at the same time.
    pub jobs: usize,
    /// ID of the run, unique in `root`.
    pub run: String,
    /// Start time, RFC 3339.
    pub started: String,
    /// The stages to run.
    pub selection: Selection,
    /// Whether to start stages that do not depend on a failed one.
    pub keep_going: bool,
    /// The results to compare with; a different result is a failure.
    pub locked: Option<LockFile>,
    /// A remote store from which results are fetched.
    pub remote: Option<Arc<Remote>>,
    /// Stages that run again even if the store has their results, and whose results are compared; empty means all.
    pub check: Option<Vec<String>>,
    /// Whether to read results of the store before they are used. A result that becomes the newest of its stage is always read.
    pub verify: bool,
    /// The purpose of the run.
    pub mode: RunMode,
}

/// The purpose of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// The run makes results. It is recorded, and links in `out/` lead to its results.
    Results,
    /// The run checks lists and videos. It leaves results in the store and nothing else. Stages with
    /// [`Check::Never`](pipe_schemas::Check::Never) are not started.
    Findings,
}

/// Which stages to run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Run these and everything that they depend on; empty means all stages.
    pub stages: Vec<String>,
    /// Do not run stages that depend on these.
    pub until: Vec<String>,
    /// Run these even if the store has their results.
    pub force: Vec<String>,
}
