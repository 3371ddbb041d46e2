//! [`RunOptions`]: how to run a plan, which of its stages, and what for.

use crate::LockFile;
use pipe_cache::Remote;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// Where programs of ours are.
#[derive(Debug, Clone)]
pub struct Executables {
    /// The folder that holds the workers.
    pub workers: PathBuf,
    /// `pipe` itself; see [`crate::reaper`].
    pub pipe: PathBuf,
}

/// How to run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The `.pipe` folder.
    pub root: PathBuf,
    /// Where programs of ours are.
    pub executables: Executables,
    /// What commands see of the environment.
    pub environment: Vec<(String, OsString)>,
    /// Stages at once.
    pub jobs: usize,
    /// The run's name, unique in `root`.
    pub run: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// What to run.
    pub selection: Selection,
    /// Whether stages that do not depend on a failed one are still started.
    pub keep_going: bool,
    /// What results must be; another one is a failure.
    pub locked: Option<LockFile>,
    /// Where results of others are, which are taken over.
    pub remote: Option<Arc<Remote>>,
    /// Which stages are made again where the store has their results, and compared.
    pub check: Option<Vec<String>>,
    /// What it is for.
    pub mode: RunMode,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// Results: it is recorded, and links lead to what it made.
    Results,
    /// What stages say of lists and videos: it leaves results in the store, and nothing else. No stage is started whose
    /// contract says [`Check::Never`](pipe_schemas::Check::Never).
    Findings,
}

/// Which stages to run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// These with all that they need; empty means every stage.
    pub stages: Vec<String>,
    /// Nothing that depends on these.
    pub until: Vec<String>,
    /// These are run even if the store has their results.
    pub force: Vec<String>,
}
