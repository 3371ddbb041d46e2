//! The traits [`Executor`] and [`Session`], and what a session reports of a request.

use super::handle::Handle;
use super::resources::Capacity;
use crate::error::RunError;
use pipe_schemas::Contract;
use pipe_stage::protocol::{PlannedPart, Request};
use pipe_stage::{Environment, Summary};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

/// Runs actions in one place: on this machine, or on a cluster.
pub(crate) trait Executor {
    /// Returns whether it runs stages of this kind.
    fn runs(&self, contract: &Contract) -> bool;

    /// Returns what all its running actions may use together.
    fn capacity(&self) -> Capacity;

    /// Starts an action: returns a session for its requests. Called on the thread that owns the run.
    fn start(&mut self, contract: &Contract) -> Result<Started, RunError>;

    /// Stops an action, from any thread.
    fn cancel(&self, action: &Handle, stop: Stop) {
        match stop {
            Stop::Soon => action.cancel(),
            Stop::Now => action.kill(),
        }
    }
}

/// An action that has been started.
pub(crate) struct Started {
    pub(crate) session: Box<dyn Session>,
    /// For [`Executor::cancel`].
    pub(crate) handle: Handle,
}

/// How an action is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It may finish what it is doing.
    Soon,
    /// Its processes are killed.
    Now,
}

/// The requests of one action, which run one after the other on a thread of the action.
pub(crate) trait Session: Send + Debug {
    /// Runs a request to its end, and passes on what is reported before. The output of its processes is added to the file
    /// at `log`.
    fn run(&mut self, request: Request, log: &Path, report: Report) -> Result<Ended, RunError>;

    /// Ends the session after its last request has ended well, so that its processes can be used again. A session that is
    /// dropped instead ends its processes.
    fn release(self: Box<Self>);
}

/// Receives the reports of a request. An error ends the session.
pub(crate) type Report<'a> = &'a mut dyn FnMut(WorkerUpdate) -> Result<(), RunError>;

/// A report about a request that is running.
#[derive(Debug)]
pub(crate) enum WorkerUpdate {
    Progress { done: u64, total: u64, unit: String },
    Measured { step: u64, values: BTreeMap<String, f64> },
    Environment { values: Environment },
    PartFinished { name: String },
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Planned {
        parts: Vec<PlannedPart>,
    },
    Made {
        chain_ended: bool,
    },
    /// The request needs the state of this link, which was dropped.
    StateNeeded {
        part: String,
    },
    Finished {
        summary: Summary,
        warnings: Vec<String>,
        peak_memory_bytes: Option<u64>,
    },
    Failed {
        error: String,
        causes: Vec<String>,
        /// The end of the log of a program.
        last_lines: Vec<String>,
        help: Option<String>,
        cancelled: bool,
    },
    /// The process that ran it is gone.
    Died {
        how: String,
        last_lines: Vec<String>,
    },
}
