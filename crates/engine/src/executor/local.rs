//! [`LocalExecutor`]: workers on this machine. They live as long as the run and run one request at a time.

use super::handle::Handle;
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
    handle: Handle,
    idle: Idle,
}

impl LocalExecutor {
    pub(super) fn new(options: &RunOptions, capacity: Capacity, reaper: Arc<ReaperOnDemand>) -> Self {
        Self { folder: options.executables.workers.clone(), capacity, reaper, idle: Idle::default() }
    }

    /// Returns a worker that waits for a request. A worker that has ended in the meantime says nothing about the next request.
    fn idle_worker(&self, kind: Worker) -> Option<WorkerProcess> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let workers = idle.get_mut(&kind)?;
        std::iter::from_fn(|| workers.pop()).find(WorkerProcess::is_idle)
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
        let worker = match self.idle_worker(kind) {
            Some(worker) => worker,
            None => WorkerProcess::start(&self.folder.join(kind.program()), self.reaper.get()?)?,
        };
        let handle = worker.handle();
        let idle = Arc::clone(&self.idle);
        let session = Box::new(LocalSession { kind, worker, handle: handle.clone(), idle });
        Ok(Started { session, handle })
    }
}

impl Session for LocalSession {
    fn run(&mut self, request: Request, log: &Path, report: Report) -> Result<Ended, RunError> {
        self.worker.run(request, &self.handle, log, report)
    }

    fn release(self: Box<Self>) {
        let Self { kind, worker, handle: _, idle } = *self;
        idle.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default().push(worker);
    }
}
