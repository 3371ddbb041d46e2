//! [`LocalExecutor`]: workers on this machine. They live as long as the run and run one request at a time.

use super::process::WorkerProcess;
use super::reaper::ReaperOnDemand;
use super::resources::Capacity;
use super::session::{Ended, Executor, Report, Session, Started};
use crate::error::RunError;
use crate::options::RunOptions;
use pipe_schemas::{Contract, Worker};
use pipe_stage::protocol::Request;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Workers that run no request, by kind.
type Idle = Arc<Mutex<BTreeMap<Worker, Vec<WorkerProcess>>>>;

/// Runs stages in workers on this machine.
pub(super) struct LocalExecutor {
    /// The folder with the workers' executables.
    folder: PathBuf,
    capacity: Capacity,
    reaper: Arc<ReaperOnDemand>,
    idle: Idle,
}

#[derive(Debug)]
struct LocalSession {
    kind: Worker,
    worker: WorkerProcess,
    idle: Idle,
}

impl LocalExecutor {
    pub(super) fn new(options: &RunOptions, capacity: Capacity, reaper: Arc<ReaperOnDemand>) -> Self {
        Self { folder: options.executables.workers.clone(), capacity, reaper, idle: Idle::default() }
    }
}

impl Executor for LocalExecutor {
    fn runs(&self, contract: &Contract) -> bool {
        contract.worker.is_some()
    }

    fn capacity(&self) -> Capacity {
        self.capacity
    }

    fn start(&mut self, contract: &Contract) -> Result<Started, RunError> {
        let Some(kind) = contract.worker else { return Err(RunError::NoExecutor { kind: contract.kind }) };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&kind).and_then(Vec::pop);
        let worker = match idle {
            Some(worker) => worker,
            None => WorkerProcess::start(&self.folder.join(kind.program()), self.reaper.get()?)?,
        };
        let handle = worker.handle();
        let session = Box::new(LocalSession { kind, worker, idle: Arc::clone(&self.idle) });
        Ok(Started { session, handle })
    }
}

impl Session for LocalSession {
    fn run(&mut self, request: Request, log: &Path, report: Report) -> Result<Ended, RunError> {
        self.worker.run(request, log, report)
    }

    fn release(self: Box<Self>) {
        let Self { kind, worker, idle } = *self;
        idle.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default().push(worker);
    }
}
