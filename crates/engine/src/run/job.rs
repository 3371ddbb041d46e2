//! [`Job`]: an action with everything that it needs, and the requests that it sends to a worker.

use super::RunMessage;
use super::claims::{Claim, Claims};
use crate::error::RunError;
use crate::events::{PartCounts, RunEvent};
use crate::executor::{Ended, Handle, WorkerUpdate};
use crate::keys::Tools;
use crate::sources::Collected;
use fs_err as fs;
use pipe_cache::verify::OutputGuard;
use pipe_cache::{ActionKey, ActionLock, ActionRecord, CacheError, Digest, Fields, Store, Tree};
use pipe_schemas::{Contract, Output};
use pipe_stage::protocol::{Grant, Input, PROTOCOL_VERSION, Request, Task};
use pipe_stage::{Environment, SourceFile, Summary};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// An action with everything that it needs.
pub(super) struct Job {
    pub(super) stage: usize,
    pub(super) name: String,
    pub(super) contract: &'static Contract,
    pub(super) params: serde_json::Value,
    pub(super) inputs: BTreeMap<String, JobInput>,
    pub(super) sources: BTreeMap<&'static str, Arc<Collected>>,
    /// Sources that must not change while the action runs.
    pub(super) guards: Vec<Arc<Collected>>,
    pub(super) outputs: Vec<Output>,
    pub(super) grant: Grant,
    pub(super) key: ActionKey,
    pub(super) fields: Fields,
    pub(super) tools: Tools,
    /// The key of the stage's newest result, whose parts may be reused.
    pub(super) latest: Option<ActionKey>,
    pub(super) purpose: Purpose,
    /// The program that compares tables and tensors.
    pub(super) data_worker: PathBuf,
    pub(super) store: Store,
    /// An empty folder that no other action uses.
    pub(super) work: PathBuf,
    /// The `.pipe` folder.
    pub(super) root: PathBuf,
    /// Unfinished downloads of all runs.
    pub(super) downloads: PathBuf,
    pub(super) log: PathBuf,
    /// Files that explain a failure, kept with the run.
    pub(super) diagnostics: PathBuf,
    pub(super) handle: Handle,
    /// What the bits of the result depend on, as the worker reported it; empty for exact stages.
    pub(super) environment: RefCell<Environment>,
    /// The state of the inputs before the action runs.
    pub(super) input_guards: OnceCell<Vec<(String, OutputGuard)>>,
    pub(super) claims: Claims,
    /// The parts that the store has; `None` for an action without parts.
    pub(super) kept: Cell<Option<KeptParts>>,
    pub(super) sender: SyncSender<RunMessage>,
}

/// The lock of an action that this run holds.
pub(super) struct HeldLock {
    // Released first: a stage that waits for it must not take this stage for the one that holds it.
    _lock: ActionLock,
    _claim: Claim,
}

/// How many parts of an action are in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeptParts {
    pub(super) kept: u64,
    pub(super) total: u64,
}

/// Why an action runs.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The store does not have its result.
    Result,
    /// The user wants a new result even if the store has one.
    NewResult,
    /// To be compared with the result that the store has. Nothing is recorded.
    Check(Box<ActionRecord>),
}

pub(super) struct JobInput {
    pub(super) path: PathBuf,
    /// The output that `path` is in.
    pub(super) tree: Digest,
    pub(super) digest: String,
    pub(super) files: Option<Vec<SourceFile>>,
    pub(super) media_root: Option<PathBuf>,
}

/// The output of an action before it is recorded.
pub(super) struct ActionOutput {
    pub(super) tree: Tree,
    pub(super) parts: BTreeMap<String, ActionKey>,
    /// The environment of this output and of the parts that it was made from.
    pub(super) environment: Environment,
    pub(super) counts: Option<PartCounts>,
    /// Links of a chain whose states are not needed any more.
    pub(super) dropped_states: Vec<ActionKey>,
    pub(super) summary: Summary,
    pub(super) warnings: Vec<String>,
    pub(super) peak_memory_bytes: Option<u64>,
}

/// Why an action has no output.
pub(super) enum ActionError {
    /// The stage failed, or the worker ended the request in another way than expected.
    Ended(Ended),
    /// Something around the stage failed.
    Error(RunError),
}

impl<E: Into<RunError>> From<E> for ActionError {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Job {
    /// Returns whether a result of the store may be used instead of running.
    pub(super) fn takes_hits(&self) -> bool {
        matches!(self.purpose, Purpose::Result)
    }

    /// Waits until nothing else runs the action `key`, and locks it.
    pub(super) fn lock(&self, key: ActionKey) -> Result<HeldLock, RunError> {
        let claim = self.claims.claim(key, &self.name);
        let mut is_reported = false;
        let lock = self.store.lock(key, || {
            if !is_reported {
                is_reported = true;
                self.send(RunEvent::StageWaiting { stage: self.name.clone(), made_by: claim.first_other() });
            }
            !self.handle.is_stopped()
        })?;
        let lock = lock.ok_or(RunError::Stopped)?;
        Ok(HeldLock { _lock: lock, _claim: claim })
    }

    /// Locks the action `key`, unless something else runs it.
    pub(super) fn try_lock(&self, key: ActionKey) -> Result<Option<HeldLock>, RunError> {
        let claim = self.claims.claim(key, &self.name);
        Ok(self.store.try_lock(key)?.map(|lock| HeldLock { _lock: lock, _claim: claim }))
    }

    /// Notes how many of the action's parts are in the store. Those of a check do not go there.
    pub(super) fn note_kept(&self, kept: usize, total: usize) {
        if matches!(self.purpose, Purpose::Check(_)) {
            return;
        }
        self.kept.set(Some(KeptParts { kept: kept as u64, total: total as u64 }));
    }

    /// Returns a source that has changed since the key was made.
    pub(super) fn changed(&self) -> Result<Option<PathBuf>, RunError> {
        for guard in &self.guards {
            if let Some(path) = guard.changed()? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Remembers the state of the inputs.
    pub(super) fn guard_inputs(&self) -> Result<(), CacheError> {
        let guard =
            |(port, input): (&String, &JobInput)| Ok((port.clone(), OutputGuard::new(&self.store, input.tree)?));
        let guards = self.inputs.iter().map(guard).collect::<Result<_, CacheError>>()?;
        // An action is run once.
        let _ = self.input_guards.set(guards);
        Ok(())
    }

    /// Fails if an input was changed since [`Self::guard_inputs`]: by the program of this action, or by that of another one.
    pub(super) fn check_inputs(&self) -> Result<(), RunError> {
        for (port, guard) in self.input_guards.get().into_iter().flatten() {
            if let Some(damage) = guard.changes()?.first() {
                let folder = self.inputs.get(port).map(|input| self.store.view(input.tree));
                let place = folder.map(|folder| format!(" ({})", folder.display())).unwrap_or_default();
                return Err(RunError::InputChanged { port: port.clone(), what: format!("{damage}{place}") });
            }
        }
        Ok(())
    }

    /// Passes on what a worker reports while it runs.
    pub(super) fn report(&self, update: WorkerUpdate) {
        let stage = self.name.clone();
        match update {
            WorkerUpdate::Progress { done, total, unit } => {
                self.send(RunEvent::StageProgress { stage, done, total, unit });
            }
            WorkerUpdate::Measured { step, values } => self.send(RunEvent::StageMeasured { stage, step, values }),
            WorkerUpdate::Environment { values } => *self.environment.borrow_mut() = values,
            WorkerUpdate::PartFinished { .. } => {}
        }
    }

    fn send(&self, event: RunEvent) {
        // Without a receiver the run is over.
        let _ = self.sender.send(RunMessage::Event(event));
    }

    /// Returns a request with its own empty folders.
    pub(super) fn request(&self, task: Task) -> Result<Request, RunError> {
        let (output, scratch) = (self.work.join("output"), self.work.join("scratch"));
        fs::create_dir_all(&output)?;
        fs::create_dir_all(&scratch)?;
        let mut inputs = BTreeMap::new();
        for (port, input) in &self.inputs {
            let files = input.files.as_ref().map(|files| self.write_files(port, files)).transpose()?;
            let JobInput { path, digest, media_root, tree: _, files: _ } = input;
            let (path, digest, media_root) = (path.clone(), digest.clone(), media_root.clone());
            let input = Input { path, digest, files, media_root, left_out: BTreeMap::new() };
            inputs.insert(port.clone(), input);
        }
        let mut sources = BTreeMap::new();
        for (param, source) in &self.sources {
            let files = Some(self.write_files(param, &source.files)?);
            let (path, left_out) = (source.root.clone(), source.left_out.clone());
            let input = Input { path, digest: String::new(), files, media_root: None, left_out };
            sources.insert((*param).to_owned(), input);
        }
        Ok(Request {
            protocol: PROTOCOL_VERSION,
            id: self.stage as u64,
            kind: self.contract.kind.to_owned(),
            version: self.contract.version,
            task,
            params: self.params.clone(),
            inputs,
            sources,
            output,
            scratch,
            downloads: self.downloads.clone(),
            diagnostics: self.diagnostics.clone(),
            grant: self.grant.clone(),
        })
    }

    fn write_files(&self, name: &str, files: &[SourceFile]) -> Result<PathBuf, RunError> {
        let path = self.work.join(format!("{name}.files.json"));
        fs::write(&path, serde_json::to_vec(files)?)?;
        Ok(path)
    }
}
