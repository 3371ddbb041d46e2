//! [`run`]: carries out a [`Plan`]. One thread owns the run's state; a thread an action waits for its worker.

use crate::ahead::Ahead;
use crate::events::{Failure, Outcome, PartCounts, RunEvent};
use crate::keys::{self, Reason};
use crate::latest::Publisher;
use crate::local::reaper::Reaper;
use crate::local::{Handle, WorkerProcess};
use crate::lockfile::LockFile;
use crate::look::{Look, Prepared};
use crate::plan::Plan;
use crate::record::{Recorder, RunSummary};
use crate::sources::Collected;
use job::{Job, JobEnd, JobInput, Purpose, Runner};
use pipe_cache::remote::Pulled;
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, ActionRecord, CacheError, Remote, Store, TreeFile};
use pipe_schemas::{Check, PortType, Worker};
use pipe_stage::SourceFile;
use pool::Pool;
use schedule::{Room, Schedule};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

mod compare;
mod job;
mod parts;
mod pool;
mod schedule;
pub(crate) mod work;

/// How many changes are told when a stage starts; `pipe why` tells all.
const MAX_REASONS: usize = 5;

/// The folder of unfinished downloads in `.pipe`, which outlive their run.
pub(crate) const DOWNLOADS: &str = "downloads";

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
    pub aim: Aim,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Results: it is recorded, and links lead to what it made.
    Results,
    /// What stages say of lists and videos: it leaves results in the store, and nothing else. No stage is started whose
    /// contract says [`Check::Never`].
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
    Fetched { stage: usize, found: Result<Pulled, CacheError> },
    Cancel,
}

/// Where a stage stands.
#[derive(Debug)]
enum State {
    /// Not looked at yet.
    Waiting,
    /// The remote is asked for its result.
    Fetching { prepared: Box<Prepared>, since: Instant },
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
    /// When its time is up.
    until: Option<Instant>,
    timed_out: bool,
    media: Option<Media>,
}

#[derive(Debug)]
struct Done {
    record: ActionRecord,
    media: Option<Media>,
}

/// Where the videos of a `videos` table lie.
#[derive(Debug, Clone)]
struct Media {
    root: PathBuf,
    /// What was hashed of them, where they come from outside the pipeline.
    sources: Vec<Arc<Collected>>,
}

/// Carries out `plan`, telling `tell` what happens. Failed stages are in the summary, not in the error.
pub fn run(
    plan: &Plan,
    options: &RunOptions,
    ahead: Ahead,
    cancel: &Cancel,
    tell: &mut dyn FnMut(&RunEvent),
) -> Result<RunSummary, RunError> {
    let wanted = plan.select(&options.selection.stages, &options.selection.until)?;
    let forced = plan.named(&options.selection.force)?;
    let checked = match &options.check {
        Some(stages) if stages.is_empty() => wanted.clone(),
        Some(stages) => plan.named(stages)?,
        None => BTreeSet::new(),
    };
    let store = Store::open(&options.root)?.hold(|| tell(&RunEvent::StoreWaiting))?;
    let work = work::Work::new(&options.root, &options.run)?;
    let summary = RunSummary {
        pipeline: plan.name().to_owned(),
        run: options.run.clone(),
        started: options.started.clone(),
        stages: Vec::new(),
        cancelled: false,
    };
    let (record, latest) = match options.aim {
        Aim::Results => {
            (options.root.join("runs").join(&options.run), Some(Publisher::open(&options.root, plan.name())?))
        }
        Aim::Findings => (work.record(), None),
    };
    let recorder = Recorder::new(record, summary)?;
    let (sender, receiver) = sync_channel(256);
    cancel.connect(sender.clone());
    let look = Look::new(plan, &options.root, &options.executables)?;
    let run = Run {
        plan,
        options,
        cancel,
        tell,
        store,
        work,
        recorder,
        sender,
        look,
        ahead,
        latest,
        states: plan.stages().iter().map(|_| State::Waiting).collect(),
        schedule: Schedule::new(plan, &wanted, Room::of_machine(options.jobs)),
        wanted,
        forced,
        checked,
        running: BTreeSet::new(),
        tries: BTreeMap::new(),
        idle: BTreeMap::new(),
        reaper: None,
        pool: Pool::default(),
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
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
    look: Look<'a>,
    ahead: Ahead,
    latest: Option<Publisher>,
    states: Vec<State>,
    schedule: Schedule,
    wanted: BTreeSet<usize>,
    forced: BTreeSet<usize>,
    checked: BTreeSet<usize>,
    running: BTreeSet<usize>,
    /// How often a stage was tried again.
    tries: BTreeMap<usize, u32>,
    idle: BTreeMap<Worker, Vec<WorkerProcess>>,
    reaper: Option<Arc<Reaper>>,
    pool: Pool,
    /// How many a stage may use if it does not say.
    threads: usize,
    failed: bool,
}

impl Run<'_> {
    fn carry_out(mut self, receiver: &Receiver<Happening>) -> Result<RunSummary, RunError> {
        let since = Instant::now();
        let order = self.plan.order().iter().filter(|stage| self.wanted.contains(stage));
        let stages = order.map(|&stage| self.name(stage)).collect();
        let (pipeline, run) = (self.plan.name().to_owned(), self.options.run.clone());
        let started = self.options.started.clone();
        self.event(&RunEvent::RunStarted { pipeline: pipeline.clone(), run: run.clone(), started, stages })?;
        let mut stop_at: Option<Instant> = None;
        loop {
            while let Some(stage) = self.next() {
                self.start(stage)?;
            }
            if self.running.is_empty() {
                break;
            }
            self.ahead.stop();
            self.recorder.flush()?; // it may take hours until something happens
            let deadlines = self.running().filter(|running| !running.timed_out).filter_map(|running| running.until);
            let happening = match deadlines.chain(stop_at).min() {
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => receiver.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match happening {
                Ok(Happening::Event(event)) => self.event(&event)?,
                Ok(Happening::Fetched { stage, found }) => self.fetched(stage, found)?,
                Ok(Happening::Ended { stage, end, worker }) => self.ended(stage, end, worker)?,
                Ok(Happening::Cancel) if self.cancel.level() < 2 => {
                    stop_at = Some(Instant::now() + STOP_WITHIN);
                    self.options.remote.iter().for_each(|remote| remote.stop());
                    self.running().for_each(|running| running.handle.cancel());
                }
                Err(_) if stop_at.is_none_or(|at| Instant::now() < at) => self.end_those_out_of_time(),
                Ok(Happening::Cancel) | Err(_) => {
                    // Told twice, or too slow: the thread of a killed action reports its end at once.
                    stop_at = None;
                    self.running().for_each(|running| running.handle.kill());
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

    fn running(&self) -> impl Iterator<Item = &Running> {
        self.running.iter().filter_map(|&stage| match &self.states[stage] {
            State::Running(running) => Some(running),
            _ => None,
        })
    }

    fn end_those_out_of_time(&mut self) {
        let now = Instant::now();
        for &stage in &self.running {
            if let State::Running(running) = &mut self.states[stage]
                && running.until.is_some_and(|until| until <= now)
                && !running.timed_out
            {
                running.timed_out = true;
                running.handle.kill();
            }
        }
    }

    /// Returns the next stage that can start.
    fn next(&mut self) -> Option<usize> {
        if (self.failed && !self.options.keep_going) || self.cancel.level() > 0 {
            return None;
        }
        self.schedule.next(self.plan)
    }

    /// Takes a stage from the store, or starts its action.
    fn start(&mut self, stage: usize) -> Result<(), RunError> {
        let since = Instant::now();
        let prepared = match self.prepare(stage) {
            Ok(prepared) => prepared,
            // It may have been killed while it was asked for its versions.
            Err(error @ RunError::Worker { .. }) if self.has_a_try_left(stage) => {
                return self.again(stage, job::failure_of(&error));
            }
            Err(error) => return self.failed_to_start(stage, &error, since),
        };
        let mut purpose = Purpose::Result;
        let reasons = match self.ahead.find(&self.store, prepared.key) {
            _ if self.forced.contains(&stage) => {
                purpose = Purpose::NewResult;
                vec![Reason::Forced]
            }
            Lookup::Hit(record) if self.checked.contains(&stage) => {
                purpose = Purpose::Check(record);
                vec![Reason::Checked]
            }
            Lookup::Hit(record) => {
                let done = Done { record: *record, media: self.media(stage, &prepared) };
                return self.done(stage, Some(prepared.key), done, Outcome::Hit, since, Told::default());
            }
            Lookup::Absent | Lookup::Damaged(_) if self.options.remote.is_some() => {
                return self.fetch(stage, prepared, since);
            }
            Lookup::Absent => self.look.reasons(&self.store, stage, &prepared),
            Lookup::Damaged(error) => vec![Reason::Damaged { what: error.to_string() }],
        };
        self.start_because(stage, prepared, purpose, &reasons, since)
    }

    /// Asks the remote for the result of a stage. It takes the room of one, since it may be large.
    fn fetch(&mut self, stage: usize, prepared: Prepared, since: Instant) -> Result<(), RunError> {
        let Some(remote) = self.options.remote.clone() else { return Ok(()) };
        let (key, store, sender) = (prepared.key, self.store.clone(), self.sender.clone());
        self.pool.run(move || {
            let found = remote.pull(&store, key, &crate::remote::ports_fit);
            // Without a receiver the run is over.
            let _ = sender.send(Happening::Fetched { stage, found });
        })?;
        self.states[stage] = State::Fetching { prepared: Box::new(prepared), since };
        self.running.insert(stage);
        self.schedule.take(&self.plan.stages()[stage].limits);
        Ok(())
    }

    fn fetched(&mut self, stage: usize, found: Result<Pulled, CacheError>) -> Result<(), RunError> {
        let state = std::mem::replace(&mut self.states[stage], State::Waiting);
        let State::Fetching { prepared, since } = state else { return Ok(()) };
        self.running.remove(&stage);
        self.schedule.give_back(&self.plan.stages()[stage].limits);
        match found {
            Ok(Pulled::Got { record, bytes }) => {
                self.event(&RunEvent::StageFetched { stage: self.name(stage), bytes })?;
                let done = Done { record: *record, media: self.media(stage, &prepared) };
                return self.done(stage, Some(prepared.key), done, Outcome::Hit, since, Told::default());
            }
            Ok(Pulled::Absent) => {}
            Ok(Pulled::Damaged(error) | Pulled::Unreachable(error)) => {
                self.event(&RunEvent::RemoteTrouble { text: told(&error) })?;
            }
            Err(error) => return self.failed_to_start(stage, &error.into(), since),
        }
        if self.cancel.level() > 0 {
            return Ok(()); // it waits, and is skipped with the rest
        }
        let reasons = match self.store.find(prepared.key) {
            Lookup::Damaged(error) => vec![Reason::Damaged { what: error.to_string() }],
            _ => self.look.reasons(&self.store, stage, &prepared),
        };
        self.start_because(stage, *prepared, Purpose::Result, &reasons, since)
    }

    fn start_because(
        &mut self,
        stage: usize,
        prepared: Prepared,
        purpose: Purpose,
        reasons: &[Reason],
        since: Instant,
    ) -> Result<(), RunError> {
        if self.options.aim == Aim::Findings && matches!(self.plan.stages()[stage].contract.check, Check::Never) {
            return self.over(stage, Some(prepared.key), Outcome::Skipped, None, since); // it was there a moment ago
        }
        let mut lines = keys::lines(reasons);
        let more = lines.len().saturating_sub(MAX_REASONS);
        if more > 0 {
            lines.truncate(MAX_REASONS);
            lines.push(format!("and {more} more changes"));
        }
        let key = prepared.key.to_string();
        self.event(&RunEvent::StageStarted { stage: self.name(stage), key, reasons: lines })?;
        match self.start_job(stage, prepared, purpose, since) {
            Ok(()) => Ok(()),
            Err(error) => self.failed_to_start(stage, &error, since),
        }
    }

    fn prepare(&mut self, stage: usize) -> Result<Prepared, RunError> {
        let states = &self.states;
        let record = |stage: usize| match &states[stage] {
            State::Done(done) => Some(&done.record),
            _ => None,
        };
        let prepared = self.look.prepare(stage, record)?;
        for source in prepared.sources.values().filter(|source| source.num_read > 0) {
            let (num_files, num_read, bytes_read) = (source.files.len() as u64, source.num_read, source.bytes_read);
            self.event(&RunEvent::SourcesHashed { stage: self.name(stage), num_files, num_read, bytes_read })?;
        }
        Ok(prepared)
    }

    /// Videos lie in the stage's source folder, or in the folder that it reads.
    fn media(&self, stage: usize, prepared: &Prepared) -> Option<Media> {
        if let Some(source) = prepared.sources.values().next() {
            return Some(Media { root: source.root.clone(), sources: prepared.sources.values().cloned().collect() });
        }
        let inputs = &self.plan.stages()[stage].inputs;
        let folder = inputs.values().find(|input| input.wanted == PortType::Folder)?;
        let State::Done(done) = &self.states[folder.stage] else { return None };
        let root = self.store.view(done.record.output.tree).join(&folder.output.path);
        Some(Media { root: std::path::absolute(&root).unwrap_or(root), sources: Vec::new() })
    }

    fn start_job(
        &mut self,
        stage: usize,
        prepared: Prepared,
        purpose: Purpose,
        since: Instant,
    ) -> Result<(), RunError> {
        let spec = &self.plan.stages()[stage];
        let name = spec.name.to_string();
        let runner = self.runner(spec.contract.worker)?;
        let (inputs, mut guards) = self.job_inputs(stage)?;
        guards.extend(prepared.sources.values().cloned());
        let media = self.media(stage, &prepared);
        let handle = runner.handle();
        let job = Job {
            stage,
            name: name.clone(),
            contract: spec.contract,
            params: spec.params.clone(),
            inputs,
            sources: prepared.sources,
            guards,
            outputs: spec.outputs.clone(),
            threads: spec.limits.cpus.unwrap_or(self.threads),
            key: prepared.key,
            fields: prepared.fields,
            tools: prepared.tools,
            latest: self.look.latest(stage),
            purpose,
            data_worker: self.options.executables.workers.join(Worker::Data.program()),
            store: self.store.clone(),
            work: self.work.folder(stage)?,
            downloads: std::path::absolute(self.options.root.join(DOWNLOADS))?,
            log: self.recorder.log(&name),
            handle: handle.clone(),
            sender: self.sender.clone(),
        };
        let until = spec.limits.timeout.map(|timeout| since + timeout);
        let running = Running { handle, key: prepared.key, since, until, timed_out: false, media };
        self.pool.run(move || job.run(runner))?;
        self.states[stage] = State::Running(running);
        self.running.insert(stage);
        self.schedule.take(&spec.limits);
        Ok(())
    }

    /// Returns who runs an action: an idle worker, a new one, or a program of the user's.
    fn runner(&mut self, worker: Option<Worker>) -> Result<Runner, RunError> {
        let reaper = match &self.reaper {
            Some(reaper) => Arc::clone(reaper),
            None => Arc::clone(self.reaper.insert(Arc::new(Reaper::start(&self.options.executables.pipe)?))),
        };
        let Some(kind) = worker else { return Ok(Runner::command(reaper, self.options.environment.clone())) };
        if let Some(worker) = self.idle.get_mut(&kind).and_then(Vec::pop) {
            return Ok(Runner::Worker(worker));
        }
        Ok(Runner::Worker(WorkerProcess::start(&self.options.executables.workers.join(kind.program()), reaper)?))
    }

    /// Returns what a job reads, and what must not change while it does.
    fn job_inputs(&self, stage: usize) -> Result<JobInputs, RunError> {
        let (mut inputs, mut guards) = (BTreeMap::new(), Vec::new());
        for (port, input) in &self.plan.stages()[stage].inputs {
            let State::Done(done) = &self.states[input.stage] else { continue };
            let tree = done.record.output.tree;
            let files = match input.wanted {
                PortType::Folder => Some(self.store.tree(tree)?.part(&input.output.path)?.files),
                _ => None,
            };
            let file = |file: TreeFile| SourceFile {
                path: file.path,
                digest: file.digest.to_string(),
                size_bytes: file.size_bytes,
            };
            let files = files.map(|files| files.into_iter().map(file).collect());
            let path = std::path::absolute(self.store.view(tree).join(&input.output.path))?;
            let digest = done.record.output.ports.get(&input.output.name).map(ToString::to_string).unwrap_or_default();
            let media = done.media.as_ref().filter(|_| input.wanted == PortType::Videos);
            guards.extend(media.iter().flat_map(|media| media.sources.iter().cloned()));
            let media_root = media.map(|media| media.root.clone());
            inputs.insert(port.clone(), JobInput { path, digest, files, media_root });
        }
        Ok((inputs, guards))
    }

    fn ended(&mut self, stage: usize, end: JobEnd, worker: Option<WorkerProcess>) -> Result<(), RunError> {
        let State::Running(running) = std::mem::replace(&mut self.states[stage], State::Over) else { return Ok(()) };
        let spec = &self.plan.stages()[stage];
        self.running.remove(&stage);
        self.schedule.give_back(&spec.limits);
        if let (Some(worker), Some(kind)) = (worker, spec.contract.worker) {
            self.idle.entry(kind).or_default().push(worker);
        }
        let (key, since, media) = (running.key, running.since, running.media);
        match end {
            JobEnd::Shared(record) => {
                self.done(stage, Some(key), Done { record: *record, media }, Outcome::Hit, since, Told::default())
            }
            JobEnd::Ran { record, parts, changed } => {
                let done = Done { record: *record, media };
                let key = changed.is_none().then_some(key);
                self.done(stage, key, done, Outcome::Ran, since, Told { parts, changed, same: false })
            }
            JobEnd::Same(record) => {
                let told = Told { same: true, ..Told::default() };
                self.done(stage, Some(key), Done { record: *record, media }, Outcome::Ran, since, told)
            }
            JobEnd::Cancelled | JobEnd::Failed(_) | JobEnd::Died(_) if running.timed_out => {
                let failure =
                    job::timed_out(spec.limits.timeout.unwrap_or_default(), &self.recorder.log(spec.name.as_str()));
                self.over(stage, Some(key), Outcome::Failed, Some(failure), since)
            }
            JobEnd::Cancelled => self.over(stage, Some(key), Outcome::Skipped, None, since),
            JobEnd::Died(_) if running.handle.is_stopped() => {
                self.over(stage, Some(key), Outcome::Skipped, None, since)
            }
            JobEnd::Died(failure) if self.has_a_try_left(stage) => self.again(stage, failure),
            JobEnd::Died(failure) | JobEnd::Failed(failure) => {
                self.over(stage, Some(key), Outcome::Failed, Some(failure), since)
            }
        }
    }

    fn has_a_try_left(&self, stage: usize) -> bool {
        self.tries.get(&stage).copied().unwrap_or(0) < self.plan.stages()[stage].limits.retries
    }

    /// Puts a stage back whose worker crashed or was killed.
    fn again(&mut self, stage: usize, failure: Failure) -> Result<(), RunError> {
        let tries = self.tries.entry(stage).or_default();
        *tries += 1;
        let (tries, of) = (*tries, self.plan.stages()[stage].limits.retries);
        self.states[stage] = State::Waiting;
        self.schedule.again(stage);
        self.event(&RunEvent::StageRetried { stage: self.name(stage), tries, of, failure })
    }

    fn done(
        &mut self,
        stage: usize,
        key: Option<ActionKey>,
        done: Done,
        outcome: Outcome,
        since: Instant,
        told: Told,
    ) -> Result<(), RunError> {
        let name = self.name(stage);
        if let Some(failure) = self.not_as_locked(&name, &done.record) {
            return self.over(stage, key, Outcome::Failed, Some(failure), since);
        }
        if let Some(latest) = &mut self.latest {
            latest.publish(&name, &self.store.view(done.record.output.tree), key)?;
        }
        let mut warnings = done.record.warnings.clone();
        warnings.extend(told.changed.map(|path| {
            format!("{} changed while the stage ran: its result is not kept for the next run", path.display())
        }));
        let same = told.same.then(|| "made again: the same, bit for bit".to_owned());
        let event = RunEvent::StageFinished {
            stage: name,
            outcome,
            key: key.map(|key| key.to_string()),
            output: Some(done.record.output.tree.to_string()),
            duration_millis: since.elapsed().as_millis() as u64,
            parts: told.parts,
            summary: done.record.summary.iter().cloned().chain(same).collect(),
            warnings,
            failure: None,
        };
        self.states[stage] = State::Done(done);
        self.schedule.done(self.plan, stage);
        self.event(&event)
    }

    fn not_as_locked(&self, stage: &str, record: &ActionRecord) -> Option<Failure> {
        let locked = self.options.locked.as_ref()?.0.get(stage);
        let error = match locked {
            Some(locked) if locked.output == record.output.tree => return None,
            Some(locked) => {
                let (was, is) = (locked.output.short(), record.output.tree.short());
                format!("its result differs from the locked one: {is}, locked is {was}")
            }
            None => "the lock file does not have it".to_owned(),
        };
        let help = Some("run without `--locked` to accept what is new".to_owned());
        Some(Failure { error, causes: Vec::new(), help, log: None })
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
            parts: None,
            summary: Vec::new(),
            warnings: Vec::new(),
            failure,
        })
    }

    fn skip_the_rest(&mut self) -> Result<(), RunError> {
        for &stage in self.plan.order() {
            if self.wanted.contains(&stage) && matches!(self.states[stage], State::Waiting) {
                self.over(stage, None, Outcome::Skipped, None, Instant::now())?;
            }
        }
        Ok(())
    }
}

/// Returns an error with its causes in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// What a job reads by port, and the sources that must not change meanwhile.
type JobInputs = (BTreeMap<String, JobInput>, Vec<Arc<Collected>>);

/// What is told of an action besides its record.
#[derive(Debug, Default)]
struct Told {
    parts: Option<PartCounts>,
    /// A source that changed while it ran.
    changed: Option<PathBuf>,
    /// It was made again, and came out as it was.
    same: bool,
}
