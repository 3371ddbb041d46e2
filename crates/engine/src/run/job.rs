//! [`Job`]: one action, on a thread of its own, from lock to record.

use super::Happening;
use super::compare::difference;
use super::parts::PartedJob;
use crate::error::RunError;
use crate::events::{FailedBy, Failure, PartCounts, RunEvent};
use crate::keys::Tools;
use crate::local::command::{self, CommandRun};
use crate::local::reaper::Reaper;
use crate::local::{Ended, Handle, Meanwhile, WorkerProcess};
use crate::sources::Collected;
use fs_err as fs;
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, ActionRecord, CacheError, Fields, OutputRecord, Store, Tree};
use pipe_schemas::{Contract, Output};
use pipe_stage::SourceFile;
use pipe_stage::protocol::{Grant, Input, PROTOCOL_VERSION, Request, Task};
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// All that an action needs.
pub(super) struct Job {
    pub(super) stage: usize,
    pub(super) name: String,
    pub(super) contract: &'static Contract,
    pub(super) params: serde_json::Value,
    pub(super) inputs: BTreeMap<String, JobInput>,
    pub(super) sources: BTreeMap<&'static str, Arc<Collected>>,
    /// What must not change while the action runs.
    pub(super) guards: Vec<Arc<Collected>>,
    pub(super) outputs: Vec<Output>,
    pub(super) grant: Grant,
    pub(super) key: ActionKey,
    pub(super) fields: Fields,
    pub(super) tools: Tools,
    /// The key of the stage's newest result, whose parts may still be good for something.
    pub(super) latest: Option<ActionKey>,
    pub(super) purpose: Purpose,
    /// Says where two files differ.
    pub(super) data_worker: PathBuf,
    pub(super) store: Store,
    /// An empty folder of its own.
    pub(super) work: PathBuf,
    /// Where unfinished downloads are kept, for all runs.
    pub(super) downloads: PathBuf,
    pub(super) log: PathBuf,
    pub(super) handle: Handle,
    pub(super) sender: SyncSender<Happening>,
}

/// What an action runs for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A result that the store does not have.
    Result,
    /// A result even if the store has one.
    NewResult,
    /// To be compared with the result that the store has. Nothing is recorded.
    Check(Box<ActionRecord>),
}

pub(super) struct JobInput {
    pub(super) path: PathBuf,
    pub(super) digest: String,
    pub(super) files: Option<Vec<SourceFile>>,
    pub(super) media_root: Option<PathBuf>,
}

/// With less than this left, what failed may have failed for want of it, and may not even have been able to say so.
const NO_SPACE_BYTES: u64 = 1 << 20;
const NO_SPACE: &str = "no space is left on the disk that holds the store: `pipe cache gc` makes some";

/// Who runs an action.
pub(super) enum Runner {
    Worker(WorkerProcess),
    Command { handle: Handle, reaper: Arc<Reaper>, environment: Vec<(String, OsString)> },
}

/// How an action ended.
#[derive(Debug)]
pub(super) enum JobEnd {
    /// Another process ran it meanwhile.
    Shared(Box<ActionRecord>),
    Ran {
        record: Box<ActionRecord>,
        parts: Option<PartCounts>,
        /// A source that is not what the key says; the result is not recorded.
        changed: Option<PathBuf>,
    },
    /// It was made again, and came out as it was.
    Same(Box<ActionRecord>),
    Failed(Failure),
    /// The worker crashed or was killed.
    Died(Failure),
    Cancelled,
}

/// What the work of an action came to, before it is recorded.
pub(super) struct Worked {
    pub(super) tree: Tree,
    pub(super) parts: BTreeMap<String, ActionKey>,
    pub(super) counts: Option<PartCounts>,
    pub(super) summary: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) peak_memory_bytes: Option<u64>,
}

/// Why there is no result.
pub(super) enum NoResult {
    /// The action ended without.
    Ended(Ended),
    /// Something around it went wrong.
    Error(RunError),
}

impl<E: Into<RunError>> From<E> for NoResult {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Runner {
    pub(super) fn command(reaper: Arc<Reaper>, environment: Vec<(String, OsString)>) -> Self {
        Self::Command { handle: Handle::default(), reaper, environment }
    }

    pub(super) fn handle(&self) -> Handle {
        match self {
            Self::Worker(worker) => worker.handle(),
            Self::Command { handle, .. } => handle.clone(),
        }
    }
}

impl Job {
    /// Runs to the end, and tells it together with the worker, where that can be used again.
    pub(super) fn run(self, mut runner: Runner) {
        let ended = self.act(&mut runner);
        let no_space = ended.is_err() && self.store.free_bytes().is_ok_and(|free| free < NO_SPACE_BYTES);
        // What is left of it is of no use to anyone; the next run clears what can't be removed now.
        if fs::remove_dir(&self.work).is_err() {
            let _ = fs::remove_dir_all(&self.work);
        }
        let (end, alive) = match ended {
            Ok(end) => (end, true),
            Err(NoResult::Ended(Ended::Died { how, last_lines })) => (JobEnd::Died(self.died(&how, last_lines)), false),
            Err(NoResult::Ended(Ended::Failed { cancelled: true, .. })) => (JobEnd::Cancelled, true),
            Err(NoResult::Ended(Ended::Failed { error, causes, help, .. })) => {
                (JobEnd::Failed(Failure { by: FailedBy::Stage, error, causes, help, log: self.log_if_any() }), true)
            }
            Err(NoResult::Ended(Ended::Planned { .. } | Ended::Finished { .. })) => {
                let error = "the worker answered something else than it was asked".to_owned();
                let (causes, help, log) = (Vec::new(), None, self.log_if_any());
                (JobEnd::Failed(Failure { by: FailedBy::Run, error, causes, help, log }), false)
            }
            Err(NoResult::Error(RunError::Stopped)) => (JobEnd::Cancelled, !self.handle.is_stopped()),
            // The worker may be in the middle of something.
            Err(NoResult::Error(error)) => {
                (JobEnd::Failed(Failure { log: self.log_if_any(), ..failure_of(&error) }), false)
            }
        };
        let end = match end {
            JobEnd::Failed(failure) if no_space => JobEnd::Failed(Failure { help: Some(NO_SPACE.into()), ..failure }),
            other => other,
        };
        let worker = match runner {
            Runner::Worker(worker) if alive => Some(worker),
            _ => None,
        };
        // Without a receiver the run is over, and nobody waits for this.
        let _ = self.sender.send(Happening::Ended { stage: self.stage, end, worker });
    }

    fn act(&self, runner: &mut Runner) -> Result<JobEnd, NoResult> {
        let _lock = self.lock(self.key)?;
        if self.takes_hits()
            && let Lookup::Hit(record) = self.store.find(self.key)
        {
            return Ok(JobEnd::Shared(record));
        }
        let since = Instant::now();
        let worked = match runner {
            Runner::Command { handle, reaper, environment } => self.command(handle, reaper, environment),
            Runner::Worker(worker) if self.contract.parts.is_some() => PartedJob::new(self, worker).run(),
            Runner::Worker(worker) => self.whole(worker),
        }?;
        if let Purpose::Check(record) = &self.purpose {
            return Ok(self.compared(record, &worked.tree)?);
        }
        let record = self.record_of(&worked, since)?;
        let changed = self.changed()?;
        if changed.is_none() {
            self.store.record(self.key, &self.fields, &record)?;
        }
        Ok(JobEnd::Ran { record: Box::new(record), parts: worked.counts, changed })
    }

    /// Returns whether what the store has is good enough.
    pub(super) fn takes_hits(&self) -> bool {
        matches!(self.purpose, Purpose::Result)
    }

    /// Says whether what was made again is what was there, and if not, where it differs first.
    fn compared(&self, record: &ActionRecord, again: &Tree) -> Result<JobEnd, RunError> {
        if again.digest() == record.output.tree {
            return Ok(JobEnd::Same(Box::new(record.clone())));
        }
        let there = self.store.tree(record.output.tree)?;
        let views = (self.store.view(record.output.tree), self.store.view(again.digest()));
        let causes = vec![difference(&there, again, (&views.0, &views.1), &self.data_worker)];
        let error = "made again, its result differs".to_owned();
        let help = Some("the first path is what the store has, the second what was made now".to_owned());
        Ok(JobEnd::Failed(Failure { by: FailedBy::Stage, error, causes, help, log: self.log_if_any() }))
    }

    /// Waits until no other process runs the action `key`.
    pub(super) fn lock(&self, key: ActionKey) -> Result<pipe_cache::ActionLock, RunError> {
        let mut told = false;
        let lock = self.store.lock(key, || {
            if !told {
                told = true;
                let _ = self.sender.send(Happening::Event(RunEvent::StageWaiting { stage: self.name.clone() }));
            }
            !self.handle.is_stopped()
        })?;
        lock.ok_or(RunError::Stopped)
    }

    /// Returns a source that is not what the key says any more.
    pub(super) fn changed(&self) -> Result<Option<PathBuf>, RunError> {
        for guard in &self.guards {
            if let Some(path) = guard.changed()? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Runs the stage in one go.
    fn whole(&self, worker: &mut WorkerProcess) -> Result<Worked, NoResult> {
        let request = self.request(Task::Whole)?;
        let output = request.output.clone();
        let told = |meanwhile| {
            self.progress(meanwhile);
            Ok::<_, RunError>(())
        };
        match worker.run(request, &self.log, told)? {
            Ended::Finished { summary, warnings, peak_memory_bytes } => {
                let tree = self.store.insert(&output)?;
                Ok(Worked { tree, parts: BTreeMap::new(), counts: None, summary, warnings, peak_memory_bytes })
            }
            other => Err(NoResult::Ended(other)),
        }
    }

    /// Runs a program of the user's. What it did not declare is not kept.
    fn command(
        &self,
        handle: &Handle,
        reaper: &Reaper,
        environment: &[(String, OsString)],
    ) -> Result<Worked, NoResult> {
        let params = serde_json::from_value(self.params.clone()).map_err(RunError::from)?;
        let output = self.work.clone();
        let inputs = self.inputs.iter().map(|(port, input)| (port.clone(), input.path.clone())).collect();
        let run = CommandRun { params: &params, inputs: &inputs, output: &output, environment, log: &self.log };
        let ended = command::run(&run, handle, reaper)?;
        let Ended::Finished { summary, warnings, peak_memory_bytes } = ended else {
            return Err(NoResult::Ended(ended));
        };
        for port in &self.outputs {
            let path = output.join(&port.path);
            let metadata = fs::symlink_metadata(&path).map_err(|_| NoResult::Ended(Self::not_written(port)))?;
            if metadata.is_dir() && fs::read_dir(&path)?.next().is_none() {
                return Err(NoResult::Ended(Self::not_written(port)));
            }
        }
        let declared = |path: &str| {
            self.outputs
                .iter()
                .any(|port| path.strip_prefix(&port.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        };
        let tree = self.store.assemble(self.store.insert_files(&output, declared)?)?;
        Ok(Worked { tree, parts: BTreeMap::new(), counts: None, summary, warnings, peak_memory_bytes })
    }

    fn not_written(port: &Output) -> Ended {
        Ended::Failed {
            error: format!("the program did not write its output `{}`", port.name),
            causes: Vec::new(),
            help: Some(format!("it must write to ${{outputs.{}}}, which ends in {}", port.name, port.path)),
            cancelled: false,
        }
    }

    pub(super) fn progress(&self, meanwhile: Meanwhile) {
        let stage = self.name.clone();
        let event = match meanwhile {
            Meanwhile::Progress { done, total, unit } => RunEvent::StageProgress { stage, done, total, unit },
            Meanwhile::Measured { step, values } => RunEvent::StageMeasured { stage, step, values },
            Meanwhile::PartFinished { .. } => return,
        };
        let _ = self.sender.send(Happening::Event(event));
    }

    fn record_of(&self, worked: &Worked, since: Instant) -> Result<ActionRecord, CacheError> {
        let mut ports = BTreeMap::new();
        for output in &self.outputs {
            ports.insert(output.name.clone(), worked.tree.part(&output.path)?.digest());
        }
        Ok(ActionRecord {
            kind: self.contract.kind.to_owned(),
            output: OutputRecord { tree: worked.tree.digest(), ports },
            parts: worked.parts.clone(),
            summary: worked.summary.clone(),
            warnings: worked.warnings.clone(),
            duration_millis: since.elapsed().as_millis() as u64,
            peak_memory_bytes: worked.peak_memory_bytes,
            ended_unix_secs: unix_secs(),
        })
    }

    /// Returns a request with its own empty folders.
    pub(super) fn request(&self, task: Task) -> Result<Request, RunError> {
        let (output, scratch) = (self.work.join("output"), self.work.join("scratch"));
        fs::create_dir_all(&output)?;
        fs::create_dir_all(&scratch)?;
        let mut inputs = BTreeMap::new();
        for (port, input) in &self.inputs {
            let files = input.files.as_ref().map(|files| self.write_files(port, files)).transpose()?;
            let JobInput { path, digest, media_root, .. } = input;
            let input = Input { path: path.clone(), digest: digest.clone(), files, media_root: media_root.clone() };
            inputs.insert(port.clone(), input);
        }
        let mut sources = BTreeMap::new();
        for (param, source) in &self.sources {
            let files = Some(self.write_files(param, &source.files)?);
            let input = Input { path: source.root.clone(), digest: String::new(), files, media_root: None };
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
            grant: self.grant.clone(),
        })
    }

    fn write_files(&self, name: &str, files: &[SourceFile]) -> Result<PathBuf, RunError> {
        let path = self.work.join(format!("{name}.files.json"));
        fs::write(&path, serde_json::to_vec(files)?)?;
        Ok(path)
    }

    fn died(&self, how: &str, last_lines: Vec<String>) -> Failure {
        let error = format!("the worker is gone: {how}");
        let help = (how.contains("SIGKILL"))
            .then(|| "if nobody killed it, the machine was out of memory: try a smaller batch".to_owned());
        Failure { by: FailedBy::Run, error, causes: last_lines, help, log: self.log_if_any() }
    }

    /// Returns the log's path, if anything was logged.
    fn log_if_any(&self) -> Option<String> {
        log_if_any(&self.log)
    }
}

fn log_if_any(log: &Path) -> Option<String> {
    let any = fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0);
    any.then(|| log.display().to_string())
}

pub(super) fn unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Says that a stage's time was up.
pub(super) fn timed_out(timeout: Duration, log: &Path) -> Failure {
    Failure {
        by: FailedBy::Run,
        error: format!("it was ended after its `timeout` of {} s", timeout.as_secs()),
        causes: Vec::new(),
        help: Some("give it more time, or find out from its log what it waits for".into()),
        log: log_if_any(log),
    }
}

/// Turns an error around a stage into what is told of the stage.
pub(super) fn failure_of(error: &RunError) -> Failure {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    Failure { by: FailedBy::Run, error: error.to_string(), causes, help: None, log: None }
}
