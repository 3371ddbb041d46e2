//! [`run`]: carries out a [`Plan`]. One thread owns the run's state; a thread an action waits for its worker.

use crate::events::{Failure, Outcome, RunEvent};
use crate::local::{Handle, WorkerProcess};
use crate::plan::Plan;
use crate::record::{Recorder, RunSummary};
use crate::sources::Collected;
use crate::{keys, sources, tools};
use fs_err as fs;
use job::{Job, JobEnd};
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, ActionRecord, CacheError, Digest, Fields, Store};
use pipe_schemas::{PortType, Worker};
use pipe_stage::SourceFile;
use pipe_stage::protocol::Info;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

mod job;
pub(crate) mod work;

/// How long workers may take to stop once told to.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What can go wrong around stages; what goes wrong inside one is its [`Failure`].
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

/// Where the workers are.
#[derive(Debug, Clone)]
pub struct Executables {
    /// The folder that holds them.
    pub folder: PathBuf,
}

/// How to run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The `.pipe` folder.
    pub root: PathBuf,
    /// Where the workers are.
    pub executables: Executables,
    /// Stages at once.
    pub jobs: usize,
    /// The run's name, unique in `root`.
    pub run: String,
    /// When it began, RFC 3339.
    pub started: String,
}

/// Stops a run from another thread: the first time gently, the second time at once.
#[derive(Debug, Default)]
pub struct Cancel {
    state: Mutex<(u32, Option<SyncSender<Happening>>)>,
}

impl Cancel {
    /// Asks the run to stop; asked twice, it stops now.
    pub fn trigger(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        if let Some(sender) = &state.1 {
            // The channel is only full while the run has more urgent news than a third Ctrl-C.
            let _ = sender.try_send(Happening::Cancel);
        }
    }

    fn connect(&self, sender: SyncSender<Happening>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(sender);
    }

    fn level(&self) -> u32 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

/// What the owner of the run's state is told.
#[derive(Debug)]
enum Happening {
    Event(RunEvent),
    Ended { stage: usize, end: JobEnd, worker: Option<WorkerProcess> },
    Cancel,
}

/// Where a stage stands.
#[derive(Debug)]
enum State {
    /// Not looked at yet.
    Waiting,
    /// Its action runs.
    Running(Running),
    /// Its output is in the store.
    Done(Done),
    /// It failed, or was not run.
    Over,
}

#[derive(Debug)]
struct Running {
    handle: Handle,
    key: ActionKey,
    since: Instant,
    media_root: Option<PathBuf>,
}

#[derive(Debug)]
struct Done {
    record: ActionRecord,
    /// Where the videos of a `videos` table lie.
    media_root: Option<PathBuf>,
}

/// A stage with its key.
struct Prepared {
    key: ActionKey,
    fields: Fields,
    sources: BTreeMap<&'static str, Collected>,
    media_root: Option<PathBuf>,
}

/// Carries out `plan`, telling `tell` what happens. Failed stages are in the summary, not in the error.
pub fn run(
    plan: &Plan,
    options: &RunOptions,
    cancel: &Cancel,
    tell: &mut dyn FnMut(&RunEvent),
) -> Result<RunSummary, RunError> {
    let store = Store::open(&options.root)?.hold(|| tell(&RunEvent::StoreWaiting))?;
    let work = work::Work::new(&options.root, &options.run)?;
    let summary = RunSummary {
        pipeline: plan.name().to_owned(),
        run: options.run.clone(),
        started: options.started.clone(),
        stages: Vec::new(),
        cancelled: false,
    };
    let recorder = Recorder::new(&options.root, summary)?;
    let (sender, receiver) = sync_channel(256);
    cancel.connect(sender.clone());
    let run = Run {
        plan,
        options,
        cancel,
        tell,
        store,
        work,
        recorder,
        sender,
        states: plan.stages().iter().map(|_| State::Waiting).collect(),
        idle: BTreeMap::new(),
        infos: BTreeMap::new(),
        failed: false,
    };
    run.carry_out(&receiver)
}

struct Run<'a> {
    plan: &'a Plan,
    options: &'a RunOptions,
    cancel: &'a Cancel,
    tell: &'a mut dyn FnMut(&RunEvent),
    store: Store,
    work: work::Work,
    recorder: Recorder,
    sender: SyncSender<Happening>,
    states: Vec<State>,
    idle: BTreeMap<Worker, Vec<WorkerProcess>>,
    infos: BTreeMap<Worker, Info>,
    failed: bool,
}

impl Run<'_> {
    fn carry_out(mut self, receiver: &Receiver<Happening>) -> Result<RunSummary, RunError> {
        let since = Instant::now();
        let stages = self.plan.order().iter().map(|&stage| self.name(stage)).collect();
        let (pipeline, run) = (self.plan.name().to_owned(), self.options.run.clone());
        self.event(&RunEvent::RunStarted { pipeline: pipeline.clone(), run: run.clone(), stages })?;
        let mut stop_at: Option<Instant> = None;
        loop {
            while let Some(stage) = self.next() {
                self.start(stage)?;
            }
            if self.num_running() == 0 {
                break;
            }
            let happening = match stop_at {
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => receiver.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match happening {
                Ok(Happening::Event(event)) => self.event(&event)?,
                Ok(Happening::Ended { stage, end, worker }) => self.ended(stage, end, worker)?,
                Ok(Happening::Cancel) if self.cancel.level() < 2 => {
                    stop_at = Some(Instant::now() + STOP_WITHIN);
                    self.for_running(Handle::cancel);
                }
                Ok(Happening::Cancel) | Err(_) => {
                    // Told twice, or too slow: a killed worker's thread reports its end at once.
                    stop_at = None;
                    self.for_running(Handle::kill);
                }
            }
        }
        self.skip_the_rest()?;
        self.recorder.summary.cancelled = self.cancel.level() > 0;
        let summary = &self.recorder.summary;
        let count = |outcome| summary.count(outcome);
        let finished = RunEvent::RunFinished {
            pipeline,
            run,
            hits: count(Outcome::Hit),
            ran: count(Outcome::Ran),
            failed: count(Outcome::Failed),
            skipped: count(Outcome::Skipped),
            cancelled: summary.cancelled,
            duration_millis: since.elapsed().as_millis() as u64,
        };
        self.event(&finished)?;
        self.recorder.finish()
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), RunError> {
        self.recorder.event(event)?;
        (self.tell)(event);
        Ok(())
    }

    fn name(&self, stage: usize) -> String {
        self.plan.stages()[stage].name.to_string()
    }

    fn num_running(&self) -> usize {
        self.states.iter().filter(|state| matches!(state, State::Running(_))).count()
    }

    fn for_running(&self, what: impl Fn(&Handle)) {
        for state in &self.states {
            if let State::Running(running) = state {
                what(&running.handle);
            }
        }
    }

    /// Returns the next stage that can start: the first in order whose inputs are all there.
    fn next(&self) -> Option<usize> {
        if self.failed || self.cancel.level() > 0 || self.num_running() >= self.options.jobs.max(1) {
            return None;
        }
        let ready = |stage: usize| {
            matches!(self.states[stage], State::Waiting)
                && self.plan.dependencies(stage).all(|needed| matches!(self.states[needed], State::Done(_)))
        };
        self.plan.order().iter().copied().find(|&stage| ready(stage))
    }

    /// Takes a stage from the store, or starts its action.
    fn start(&mut self, stage: usize) -> Result<(), RunError> {
        let since = Instant::now();
        let prepared = match self.prepare(stage) {
            Ok(prepared) => prepared,
            Err(error) => return self.failed_to_start(stage, &error, since),
        };
        let damage = match self.store.find(prepared.key) {
            Lookup::Hit(record) => {
                let done = Done { record: *record, media_root: prepared.media_root };
                return self.done(stage, prepared.key, done, Outcome::Hit, since);
            }
            Lookup::Absent => None,
            Lookup::Damaged(error) => Some(error.to_string()),
        };
        let mut reasons = keys::reasons(self.last_fields(stage).as_ref(), &prepared.fields);
        if let Some(damage) = damage {
            reasons = vec![damage];
        }
        let key = prepared.key.to_string();
        self.event(&RunEvent::StageStarted { stage: self.name(stage), key, reasons })?;
        match self.start_job(stage, prepared, since) {
            Ok(()) => Ok(()),
            Err(error) => self.failed_to_start(stage, &error, since),
        }
    }

    fn prepare(&mut self, stage: usize) -> Result<Prepared, RunError> {
        let spec = &self.plan.stages()[stage];
        let mut collected = BTreeMap::new();
        for set in &spec.sources {
            let source = sources::collect(&self.options.root, set)?;
            if source.num_read > 0 {
                let (num_files, num_read, bytes_read) = (source.files.len() as u64, source.num_read, source.bytes_read);
                self.event(&RunEvent::SourcesHashed { stage: spec.name.to_string(), num_files, num_read, bytes_read })?;
            }
            collected.insert(set.param, source);
        }
        let mut inputs: BTreeMap<&'static str, Digest> = BTreeMap::new();
        for (port, input) in &spec.inputs {
            let State::Done(done) = &self.states[input.stage] else { continue };
            if let Some(digest) = done.record.output.ports.get(input.port.name) {
                inputs.insert(port, *digest);
            }
        }
        let fields = keys::fields(spec, &inputs, &collected, self.info(spec.contract.worker)?)?;
        let media_root = self.media_root(stage, &collected);
        Ok(Prepared { key: fields.key(), fields, sources: collected, media_root })
    }

    /// Videos lie in the stage's source folder, or in the folder that it reads.
    fn media_root(&self, stage: usize, sources: &BTreeMap<&'static str, Collected>) -> Option<PathBuf> {
        let spec = &self.plan.stages()[stage];
        let source = sources.values().map(|source| source.root.clone()).next();
        source.or_else(|| {
            let folder = spec.inputs.values().find(|input| input.port.port_type == PortType::Folder)?;
            let State::Done(done) = &self.states[folder.stage] else { return None };
            Some(self.store.view(done.record.output.tree).join(folder.port.path))
        })
    }

    fn info(&mut self, worker: Worker) -> Result<&Info, RunError> {
        if !self.infos.contains_key(&worker) {
            let program = self.options.executables.folder.join(worker.program());
            let info = tools::info(&self.options.root, worker, &program)?;
            self.infos.insert(worker, info);
        }
        Ok(&self.infos[&worker])
    }

    fn start_job(&mut self, stage: usize, prepared: Prepared, since: Instant) -> Result<(), RunError> {
        let spec = &self.plan.stages()[stage];
        let name = spec.name.to_string();
        let kind = spec.contract.worker;
        let worker = match self.idle.get_mut(&kind).and_then(Vec::pop) {
            Some(worker) => worker,
            None => WorkerProcess::start(&self.options.executables.folder.join(kind.program()))?,
        };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let job = Job {
            stage,
            name: name.clone(),
            contract: spec.contract,
            params: spec.params.clone(),
            inputs: self.job_inputs(stage)?,
            sources: prepared.sources,
            threads: spec.resources.cpus.unwrap_or(threads),
            key: prepared.key,
            fields: prepared.fields,
            store: self.store.clone(),
            work: self.work.folder(stage)?,
            log: self.recorder.log(&name),
        };
        let running = Running { handle: worker.handle(), key: prepared.key, since, media_root: prepared.media_root };
        let sender = self.sender.clone();
        std::thread::Builder::new().name(format!("stage-{name}")).spawn(move || job.run(worker, &sender))?;
        self.states[stage] = State::Running(running);
        Ok(())
    }

    fn job_inputs(&self, stage: usize) -> Result<BTreeMap<String, job::JobInput>, RunError> {
        let mut inputs = BTreeMap::new();
        for (port, input) in &self.plan.stages()[stage].inputs {
            let State::Done(done) = &self.states[input.stage] else { continue };
            let tree = done.record.output.tree;
            let files = match input.port.port_type {
                PortType::Folder => Some(self.store.tree(tree)?.part(input.port.path)?.files),
                _ => None,
            };
            let files = files.map(|files| {
                let file = |file: pipe_cache::TreeFile| SourceFile {
                    path: file.path,
                    digest: file.digest.to_string(),
                    size_bytes: file.size_bytes,
                };
                files.into_iter().map(file).collect()
            });
            let path = std::path::absolute(self.store.view(tree).join(input.port.path))?;
            inputs.insert((*port).to_owned(), job::JobInput { path, files, media_root: done.media_root.clone() });
        }
        Ok(inputs)
    }

    fn ended(&mut self, stage: usize, end: JobEnd, worker: Option<WorkerProcess>) -> Result<(), RunError> {
        let State::Running(running) = std::mem::replace(&mut self.states[stage], State::Over) else { return Ok(()) };
        if let Some(worker) = worker {
            self.idle.entry(self.plan.stages()[stage].contract.worker).or_default().push(worker);
        }
        let (key, since) = (running.key, running.since);
        let done = |record| Done { record, media_root: running.media_root };
        match end {
            JobEnd::Shared(record) => self.done(stage, key, done(*record), Outcome::Hit, since),
            JobEnd::Ran(record) => self.done(stage, key, done(*record), Outcome::Ran, since),
            JobEnd::Cancelled => self.over(stage, Some(key), Outcome::Skipped, None, since),
            JobEnd::Failed(failure) => self.over(stage, Some(key), Outcome::Failed, Some(failure), since),
        }
    }

    fn done(
        &mut self,
        stage: usize,
        key: ActionKey,
        done: Done,
        outcome: Outcome,
        since: Instant,
    ) -> Result<(), RunError> {
        let name = self.name(stage);
        let names = (self.plan.name(), name.as_str());
        work::publish(&self.options.root, names, &self.store.view(done.record.output.tree), key)?;
        let event = RunEvent::StageFinished {
            stage: name,
            outcome,
            key: Some(key.to_string()),
            output: Some(done.record.output.tree.to_string()),
            duration_millis: since.elapsed().as_millis() as u64,
            summary: done.record.summary.clone(),
            warnings: done.record.warnings.clone(),
            failure: None,
        };
        self.states[stage] = State::Done(done);
        self.event(&event)
    }

    fn failed_to_start(&mut self, stage: usize, error: &RunError, since: Instant) -> Result<(), RunError> {
        let failure = job::failure_of(error);
        self.over(stage, None, Outcome::Failed, Some(failure), since)
    }

    fn over(
        &mut self,
        stage: usize,
        key: Option<ActionKey>,
        outcome: Outcome,
        failure: Option<Failure>,
        since: Instant,
    ) -> Result<(), RunError> {
        self.failed |= outcome == Outcome::Failed;
        self.states[stage] = State::Over;
        self.event(&RunEvent::StageFinished {
            stage: self.name(stage),
            outcome,
            key: key.map(|key| key.to_string()),
            output: None,
            duration_millis: since.elapsed().as_millis() as u64,
            summary: Vec::new(),
            warnings: Vec::new(),
            failure,
        })
    }

    fn skip_the_rest(&mut self) -> Result<(), RunError> {
        for &stage in self.plan.order() {
            if matches!(self.states[stage], State::Waiting) {
                self.over(stage, None, Outcome::Skipped, None, Instant::now())?;
            }
        }
        Ok(())
    }

    /// Returns what the last key of the stage was made of, if that is still known.
    fn last_fields(&self, stage: usize) -> Option<Fields> {
        let path = work::latest(&self.options.root, (self.plan.name(), &self.name(stage)));
        let key = fs::read_to_string(path).ok()?.trim().parse().ok()?;
        self.store.fields(key).ok().flatten()
    }
}
