//! [`run`]: runs a [`Plan`]. One thread owns the state of the run; each action has a thread that waits for its worker.

use crate::bookkeeping::Bookkeeping;
use crate::error::RunError;
use crate::events::{Outcome, RunEvent};
use crate::executor::{self, Executor, Handle, Stop};
use crate::key_planner::{KeyPlanner, Prepared};
use crate::latest::Publisher;
use crate::options::RunOptions;
use crate::plan::Plan;
use crate::prefetch::Prefetch;
use crate::record::{Recorder, RunSummary};
use crate::sources::Collected;
use action::JobEnd;
use cancel::Cancel;
use claims::Claims;
use files::RunFiles;
use job::KeptParts;
use pipe_cache::remote::Pulled;
use pipe_cache::verify::Damage;
use pipe_cache::{ActionKey, ActionRecord, CacheError, Store};
use pool::Pool;
use schedule::{Lease, Schedule};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

mod action;
mod begin;
pub(crate) mod cancel;
mod claims;
mod classes;
mod clock;
mod compare;
mod end;
mod failure;
mod files;
mod job;
mod load;
mod locked;
mod parts;
mod pool;
mod schedule;
mod whole;
pub(crate) mod work;
mod written;

/// The folder of unfinished downloads in `.pipe`. Later runs resume them.
pub(crate) const DOWNLOADS: &str = "downloads";

/// How long cancelled actions may take to stop before they are killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A message to the thread that owns the state of the run.
#[derive(Debug)]
enum RunMessage {
    Event(RunEvent),
    Ended { stage: usize, end: JobEnd, kept: Option<KeptParts> },
    Fetched { stage: usize, found: Result<Pulled, CacheError> },
    Verified { stage: usize, record: Box<ActionRecord>, found: Result<Vec<Damage>, CacheError> },
    Cancel,
}

/// The state of a stage in a run.
#[derive(Debug)]
enum StageState {
    /// Its inputs are not complete, or it has not been started.
    Waiting,
    /// Its result is being fetched from the remote, or read.
    Loading { prepared: Box<Prepared>, since: Instant, lease: Lease },
    /// Its action is running.
    Running(Running),
    /// Its result is in the store.
    Done(Done),
    /// It failed or was skipped.
    Over,
}

#[derive(Debug)]
struct Running {
    handle: Handle,
    key: ActionKey,
    since: Instant,
    /// When its `timeout` ends.
    until: Option<Instant>,
    timed_out: bool,
    media: Option<Media>,
    lease: Lease,
}

#[derive(Debug)]
struct Done {
    record: ActionRecord,
    media: Option<Media>,
}

/// The folder of the videos of a `videos` table.
#[derive(Debug, Clone)]
struct Media {
    root: PathBuf,
    /// The hashed files, if they come from outside the pipeline.
    sources: Vec<Arc<Collected>>,
}

/// Runs `plan`, and passes each event to `on_event`. Failed stages are in the summary, not in the error.
pub fn run(
    plan: &Plan,
    options: &RunOptions,
    prefetch: Prefetch,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(&RunEvent),
) -> Result<RunSummary, RunError> {
    let wanted = plan.select(&options.selection.stages, &options.selection.until)?;
    let forced = plan.named_among(&wanted, "--force", &options.selection.force)?;
    let checked = match &options.check {
        Some(stages) if stages.is_empty() => wanted.clone(),
        Some(stages) => plan.named_among(&wanted, "--check", stages)?,
        None => BTreeSet::new(),
    };
    let store = Store::open(&options.root)?.hold(|| on_event(&RunEvent::StoreWaiting))?;
    let kept = Bookkeeping::to_update(&options.root);
    let summary = RunSummary {
        pipeline: plan.name().to_owned(),
        run: options.run.clone(),
        started: options.started.clone(),
        stages: Vec::new(),
        cancelled: false,
        duration_millis: None,
    };
    let RunFiles { work, recorder, latest } = RunFiles::create(plan, options, &kept, summary)?;
    let (sender, receiver) = sync_channel(256);
    cancel.connect(sender.clone());
    let executors = executor::all(options);
    let executor_of = |stage: usize| {
        let contract = plan.stage(stage).contract;
        executors
            .iter()
            .position(|executor| executor.runs(contract))
            .ok_or(RunError::NoExecutor { kind: contract.kind })
    };
    let executor_of = (0..plan.num_stages()).map(executor_of).collect::<Result<Vec<_>, _>>()?;
    let capacity = |stage: usize| executors[executor_of[stage]].capacity();
    let schedule = Schedule::new(plan, &wanted, capacity);
    let key_planner = KeyPlanner::new(plan, &kept, &options.executables);
    let run = Run {
        plan,
        options,
        cancel,
        on_event,
        store,
        work,
        recorder,
        sender,
        kept: &kept,
        key_planner,
        prefetch,
        latest,
        states: plan.stages().map(|_| StageState::Waiting).collect(),
        schedule,
        executors,
        executor_of,
        wanted,
        forced,
        checked,
        fetched: BTreeSet::new(),
        running: BTreeSet::new(),
        tries: BTreeMap::new(),
        claims: Claims::default(),
        pool: Pool::default(),
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        failed: false,
        approximate: BTreeSet::new(),
    };
    run.carry_out(&receiver)
}

struct Run<'a> {
    plan: &'a Plan,
    options: &'a RunOptions,
    cancel: &'a Cancel,
    on_event: &'a mut dyn FnMut(&RunEvent),
    store: Store,
    /// `None` if this user may not write to the store; see [`RunFiles`].
    work: Option<work::Work>,
    recorder: Recorder,
    sender: SyncSender<RunMessage>,
    kept: &'a Bookkeeping,
    key_planner: KeyPlanner<'a>,
    prefetch: Prefetch,
    latest: Option<Publisher>,
    states: Vec<StageState>,
    schedule: Schedule,
    wanted: BTreeSet<usize>,
    forced: BTreeSet<usize>,
    checked: BTreeSet<usize>,
    /// Stages whose results were requested from the remote.
    fetched: BTreeSet<usize>,
    running: BTreeSet<usize>,
    /// Number of retries so far, by stage.
    tries: BTreeMap<usize, u32>,
    claims: Claims,
    executors: Vec<Box<dyn Executor>>,
    /// The executor that runs each stage.
    executor_of: Vec<usize>,
    pool: Pool,
    /// Threads of a stage without `resources: { cpus: … }`.
    threads: usize,
    failed: bool,
    /// With `--locked`: stages that equal the locked result in their numbers, not in their bits, and those that read them.
    approximate: BTreeSet<usize>,
}

impl Run<'_> {
    fn carry_out(mut self, receiver: &Receiver<RunMessage>) -> Result<RunSummary, RunError> {
        let since = Instant::now();
        let order = self.plan.order().iter().filter(|stage| self.wanted.contains(stage));
        let stages = order.map(|&stage| self.name(stage)).collect();
        let (pipeline, run) = (self.plan.name().to_owned(), self.options.run.clone());
        let started = self.options.started.clone();
        self.event(&RunEvent::RunStarted { pipeline: pipeline.clone(), run: run.clone(), started, stages })?;
        if self.work.is_none() {
            let text = RunError::ReadOnlyStore { path: self.options.root.clone() }.to_string();
            let text = format!("{text}: the run is not recorded, and it can only use results that are there");
            self.event(&RunEvent::Warning { text })?;
        }
        let mut stop_at: Option<Instant> = None;
        loop {
            while let Some(stage) = self.next() {
                self.start(stage)?;
            }
            if self.running.is_empty() {
                break;
            }
            self.prefetch.stop();
            self.recorder.flush()?; // the next message may take hours
            let deadlines = self.running().filter(|running| !running.timed_out).filter_map(|running| running.until);
            let happening = match deadlines.chain(stop_at).min() {
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => receiver.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match happening {
                Ok(RunMessage::Event(event)) => self.event(&event)?,
                Ok(RunMessage::Fetched { stage, found }) => self.fetched(stage, found)?,
                Ok(RunMessage::Verified { stage, record, found }) => self.verified(stage, record, found)?,
                Ok(RunMessage::Ended { stage, end, kept }) => self.ended(stage, end, kept)?,
                Ok(RunMessage::Cancel) if self.cancel.level() < 2 => {
                    stop_at = Some(Instant::now() + STOP_WITHIN);
                    self.options.remote.iter().for_each(|remote| remote.stop());
                    self.stop_all(Stop::Soon);
                }
                Err(_) if stop_at.is_none_or(|at| Instant::now() < at) => self.kill_timed_out(),
                Ok(RunMessage::Cancel) | Err(_) => {
                    // Cancelled twice, or too slow. The thread of a killed action reports its end at once.
                    stop_at = None;
                    self.stop_all(Stop::Now);
                }
            }
        }
        self.skip_the_rest()?;
        self.recorder.summary.cancelled = self.cancel.level() > 0;
        let summary = &self.recorder.summary;
        let count = |outcome| summary.count(outcome);
        let duration_millis = since.elapsed().as_millis() as u64;
        let finished = RunEvent::RunFinished {
            pipeline,
            run,
            hits: count(Outcome::Hit),
            ran: count(Outcome::Ran),
            failed: count(Outcome::Failed),
            skipped: count(Outcome::Skipped),
            cancelled: summary.cancelled,
            duration_millis,
        };
        self.event(&finished)?;
        self.recorder.summary.duration_millis = Some(duration_millis);
        self.recorder.finish()
    }

    /// Reports damaged bookkeeping that was found since the last call.
    fn report_warnings(&mut self) -> Result<(), RunError> {
        for text in self.kept.take_warnings() {
            self.event(&RunEvent::Warning { text })?;
        }
        Ok(())
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), RunError> {
        self.recorder.event(event)?;
        (self.on_event)(event);
        Ok(())
    }

    fn name(&self, stage: usize) -> String {
        self.plan.stage(stage).name.to_string()
    }

    fn running(&self) -> impl Iterator<Item = &Running> {
        self.running.iter().filter_map(|&stage| match &self.states[stage] {
            StageState::Running(running) => Some(running),
            _ => None,
        })
    }

    /// Stops every action that runs.
    fn stop_all(&self, stop: Stop) {
        for &stage in &self.running {
            if let StageState::Running(running) = &self.states[stage] {
                self.executors[self.executor_of[stage]].cancel(&running.handle, stop);
            }
        }
    }

    fn kill_timed_out(&mut self) {
        let now = Instant::now();
        for &stage in &self.running {
            if let StageState::Running(running) = &mut self.states[stage]
                && running.until.is_some_and(|until| until <= now)
                && !running.timed_out
            {
                running.timed_out = true;
                self.executors[self.executor_of[stage]].cancel(&running.handle, Stop::Now);
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
}
