//! [`Job`]: one action, on a thread of its own, from lock to record.

use super::{Happening, RunError};
use crate::events::{Failure, RunEvent};
use crate::local::{Ended, WorkerProcess};
use crate::sources::Collected;
use fs_err as fs;
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, ActionRecord, Fields, OutputRecord, Store};
use pipe_schemas::Contract;
use pipe_stage::SourceFile;
use pipe_stage::protocol::{Input, PROTOCOL_VERSION, Reply, Request};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// All that an action needs.
pub(super) struct Job {
    pub(super) stage: usize,
    pub(super) name: String,
    pub(super) contract: &'static Contract,
    pub(super) params: serde_json::Value,
    pub(super) inputs: BTreeMap<String, JobInput>,
    pub(super) sources: BTreeMap<&'static str, Collected>,
    pub(super) threads: usize,
    pub(super) key: ActionKey,
    pub(super) fields: Fields,
    pub(super) store: Store,
    /// An empty folder of its own.
    pub(super) work: PathBuf,
    pub(super) log: PathBuf,
}

pub(super) struct JobInput {
    pub(super) path: PathBuf,
    pub(super) files: Option<Vec<SourceFile>>,
    pub(super) media_root: Option<PathBuf>,
}

/// How an action ended.
#[derive(Debug)]
pub(super) enum JobEnd {
    /// Another process ran it meanwhile.
    Shared(Box<ActionRecord>),
    Ran(Box<ActionRecord>),
    Failed(Failure),
    Cancelled,
}

impl Job {
    /// Runs to the end, and tells it together with the worker, where that can be used again.
    pub(super) fn run(self, mut worker: WorkerProcess, sender: &SyncSender<Happening>) {
        let ended = self.act(&mut worker, sender);
        // What is left of it is of no use to anyone; the next run clears what can't be removed now.
        let _ = fs::remove_dir_all(&self.work);
        let (end, worker) = match ended {
            Ok((end, alive)) => (end, alive.then_some(worker)),
            Err(error) => (JobEnd::Failed(Failure { log: self.log_if_any(), ..failure_of(&error) }), Some(worker)),
        };
        // Without a receiver the run is over, and nobody waits for this.
        let _ = sender.send(Happening::Ended { stage: self.stage, end, worker });
    }

    fn act(&self, worker: &mut WorkerProcess, sender: &SyncSender<Happening>) -> Result<(JobEnd, bool), RunError> {
        let waiting = || {
            let _ = sender.send(Happening::Event(RunEvent::StageWaiting { stage: self.name.clone() }));
        };
        let _lock = self.store.lock(self.key, waiting)?;
        if let Lookup::Hit(record) = self.store.find(self.key) {
            return Ok((JobEnd::Shared(record), true));
        }
        let since = Instant::now();
        let request = self.request()?;
        let output = request.output.clone();
        let progress = |reply| {
            if let Reply::Progress { done, total, unit, note } = reply {
                let stage = self.name.clone();
                let _ = sender.send(Happening::Event(RunEvent::StageProgress { stage, done, total, unit, note }));
            }
        };
        match worker.run(request, &self.log, progress)? {
            Ended::Finished { summary, warnings, peak_memory_bytes } => {
                let output = self.insert(&output)?;
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let record = ActionRecord {
                    kind: self.contract.kind.to_owned(),
                    output,
                    parts: BTreeMap::new(),
                    summary,
                    warnings,
                    duration_millis: since.elapsed().as_millis() as u64,
                    peak_memory_bytes,
                    ended_unix_secs: now.map_or(0, |since| since.as_secs()),
                };
                self.store.record(self.key, &self.fields, &record)?;
                Ok((JobEnd::Ran(Box::new(record)), true))
            }
            Ended::Failed { cancelled: true, .. } => Ok((JobEnd::Cancelled, true)),
            Ended::Failed { error, causes, help, .. } => {
                Ok((JobEnd::Failed(Failure { error, causes, help, log: self.log_if_any() }), true))
            }
            Ended::Died { how, last_lines } => {
                let error = format!("the worker is gone: {how}");
                let help = (how.contains("SIGKILL"))
                    .then(|| "if nobody killed it, the machine was out of memory: try a smaller batch".to_owned());
                Ok((JobEnd::Failed(Failure { error, causes: last_lines, help, log: self.log_if_any() }), false))
            }
        }
    }

    fn insert(&self, output: &Path) -> Result<OutputRecord, RunError> {
        let tree = self.store.insert(output)?;
        let mut ports = BTreeMap::new();
        for port in self.contract.outputs {
            ports.insert(port.name.to_owned(), tree.part(port.path)?.digest());
        }
        Ok(OutputRecord { tree: tree.digest(), ports })
    }

    fn request(&self) -> Result<Request, RunError> {
        let (output, scratch) = (self.work.join("output"), self.work.join("scratch"));
        fs::create_dir_all(&output)?;
        fs::create_dir_all(&scratch)?;
        let mut inputs = BTreeMap::new();
        for (port, input) in &self.inputs {
            let files = input.files.as_ref().map(|files| self.write_files(port, files)).transpose()?;
            let input = Input { path: input.path.clone(), files, media_root: input.media_root.clone() };
            inputs.insert(port.clone(), input);
        }
        let mut sources = BTreeMap::new();
        for (param, source) in &self.sources {
            let files = Some(self.write_files(param, &source.files)?);
            sources.insert((*param).to_owned(), Input { path: source.root.clone(), files, media_root: None });
        }
        Ok(Request {
            protocol: PROTOCOL_VERSION,
            id: self.stage as u64,
            kind: self.contract.kind.to_owned(),
            version: self.contract.version,
            params: self.params.clone(),
            inputs,
            sources,
            output,
            scratch,
            threads: self.threads,
        })
    }

    fn write_files(&self, name: &str, files: &[SourceFile]) -> Result<PathBuf, RunError> {
        let path = self.work.join(format!("{name}.files.json"));
        fs::write(&path, serde_json::to_vec(files)?)?;
        Ok(path)
    }

    /// Returns the log's path, if anything was logged.
    fn log_if_any(&self) -> Option<String> {
        let any = fs::metadata(&self.log).is_ok_and(|metadata| metadata.len() > 0);
        any.then(|| self.log.display().to_string())
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
    Failure { error: error.to_string(), causes, help: None, log: None }
}
