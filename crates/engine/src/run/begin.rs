//! Starts stages: takes the result from the store, or starts an action. See `load.rs` for results that must be fetched or read first.

use super::failure::failure_of;
use super::job::{Job, JobInput, Purpose};
use super::{DOWNLOADS, Media, Run, Running, StageState};
use crate::error::RunError;
use crate::events::{Outcome, RunEvent};
use crate::executor::Started;
use crate::key_planner::Prepared;
use crate::options::RunMode;
use crate::reasons::{self, Reason};
use crate::sources::Collected;
use pipe_cache::TreeFile;
use pipe_cache::store::Lookup;
use pipe_schemas::{Check, Worker};
use pipe_stage::SourceFile;
use pipe_stage::protocol::Grant;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Maximum number of reasons that are shown when a stage starts; `pipe why` shows all.
const MAX_REASONS: usize = 5;

/// The inputs of a job by port, and the sources that must not change while it runs.
type JobInputs = (BTreeMap<String, JobInput>, Vec<Arc<Collected>>);

impl Run<'_> {
    /// Takes a stage from the store, or starts its action.
    pub(super) fn start(&mut self, stage: usize) -> Result<(), RunError> {
        let since = Instant::now();
        let prepared = self.prepare(stage);
        self.report_warnings()?;
        let prepared = match prepared {
            Ok(prepared) => prepared,
            // The worker may have been killed while it printed its versions.
            Err(error @ RunError::Worker { .. }) if self.has_a_try_left(stage) => {
                return self.again(stage, failure_of(&error));
            }
            Err(error) => return self.failed_to_start(stage, &error, since),
        };
        if let Some(failure) = self.locked_key_mismatch(stage, &prepared) {
            return self.over(stage, Some(prepared.key), Outcome::Failed, Some(failure), since);
        }
        let mut purpose = Purpose::Result;
        let reasons = match self.prefetch.find(&self.store, prepared.key) {
            _ if self.forced.contains(&stage) => {
                purpose = Purpose::NewResult;
                vec![Reason::Forced]
            }
            Lookup::Hit(record) if self.checked.contains(&stage) => {
                purpose = Purpose::Check(record);
                vec![Reason::Checked]
            }
            Lookup::Hit(record) => return self.hit(stage, prepared, record, since),
            Lookup::Absent | Lookup::Damaged(_) if self.may_fetch(stage) => {
                return self.fetch(stage, prepared, since);
            }
            Lookup::Absent => self.key_planner.reasons(&self.store, stage, &prepared)?,
            Lookup::Damaged(error) => vec![Reason::Damaged { what: error.to_string() }],
        };
        self.start_because(stage, prepared, purpose, &reasons, since)
    }

    pub(super) fn start_because(
        &mut self,
        stage: usize,
        prepared: Prepared,
        purpose: Purpose,
        reasons: &[Reason],
        since: Instant,
    ) -> Result<(), RunError> {
        if self.options.mode == RunMode::Findings && matches!(self.plan.stage(stage).contract.check, Check::Never) {
            return self.over(stage, Some(prepared.key), Outcome::Skipped, None, since); // its result was in the store a moment ago
        }
        let mut lines = reasons::lines(reasons);
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
            StageState::Done(done) => Some(&done.record),
            _ => None,
        };
        let prepared = self.key_planner.prepare(stage, record)?;
        for source in prepared.sources.values().filter(|source| source.num_read > 0) {
            let (num_files, num_read, bytes_read) = (source.files.len() as u64, source.num_read, source.bytes_read);
            self.event(&RunEvent::SourcesHashed { stage: self.name(stage), num_files, num_read, bytes_read })?;
        }
        Ok(prepared)
    }

    /// Returns the folder of the videos that the stage lists: its source folder, or the folder that it reads.
    pub(super) fn media(&self, stage: usize, prepared: &Prepared) -> Option<Media> {
        if let Some(source) = prepared.sources.values().next() {
            return Some(Media { root: source.root.clone(), sources: prepared.sources.values().cloned().collect() });
        }
        let inputs = self.plan.inputs(stage);
        let (needed, folder) = inputs.into_iter().find(|(_, input)| input.wanted.may_hold_media())?;
        let StageState::Done(done) = &self.states[needed] else { return None };
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
        let spec = self.plan.stage(stage);
        let name = spec.name.to_string();
        let Started { session, handle } = self.executors[self.executor_of[stage]].start(spec.contract)?;
        let (inputs, mut guards) = self.job_inputs(stage)?;
        guards.extend(prepared.sources.values().cloned());
        let media = self.media(stage, &prepared);
        let Some(work) = &self.work else {
            return Err(RunError::ReadOnlyStore { path: self.options.root.clone() });
        };
        let (key, work) = (prepared.key, work.folder(stage)?);
        let downloads = std::path::absolute(self.options.root.join(DOWNLOADS))?;
        let lease = self.schedule.take(stage, &spec.limits);
        let job = Job {
            stage,
            name: name.clone(),
            contract: spec.contract,
            params: spec.params.clone(),
            inputs,
            sources: prepared.sources,
            guards,
            outputs: spec.outputs.clone(),
            grant: Grant::devices(spec.limits.cpus.unwrap_or(self.threads), lease.devices()),
            key,
            fields: prepared.fields,
            tools: prepared.tools,
            latest: self.key_planner.latest(stage)?,
            purpose,
            data_worker: self.options.executables.workers.join(Worker::Data.program()),
            store: self.store.clone(),
            work,
            root: self.options.root.clone(),
            downloads,
            log: self.recorder.log(&name),
            diagnostics: std::path::absolute(self.recorder.diagnostics(&name))?,
            handle: handle.clone(),
            environment: RefCell::default(),
            input_guards: OnceCell::new(),
            claims: self.claims.clone(),
            kept: Cell::default(),
            sender: self.sender.clone(),
        };
        let until = spec.limits.timeout.map(|timeout| since + timeout);
        if let Err(error) = self.pool.run(move || job.run(session)) {
            self.schedule.give_back(lease);
            return Err(error.into());
        }
        self.states[stage] = StageState::Running(Running { handle, key, since, until, timed_out: false, media, lease });
        self.running.insert(stage);
        Ok(())
    }

    /// Returns the inputs of a job, and the sources that must not change while it runs.
    fn job_inputs(&self, stage: usize) -> Result<JobInputs, RunError> {
        let (mut inputs, mut guards) = (BTreeMap::new(), Vec::new());
        for (needed, input) in self.plan.inputs(stage) {
            let StageState::Done(done) = &self.states[needed] else { continue };
            let tree = done.record.output.tree;
            let files = if input.wanted.lists_files() {
                Some(self.store.tree(tree)?.part(&input.output.path)?.files)
            } else {
                None
            };
            let file = |file: TreeFile| SourceFile {
                path: file.path,
                digest: file.digest.to_string(),
                size_bytes: file.size_bytes,
            };
            let files = files.map(|files| files.into_iter().map(file).collect());
            let path = std::path::absolute(self.store.view(tree).join(&input.output.path))?;
            let digest = done.record.output.ports.get(&input.output.name).map(ToString::to_string).unwrap_or_default();
            let media = done.media.as_ref().filter(|_| input.wanted.refers_to_media());
            guards.extend(media.iter().flat_map(|media| media.sources.iter().cloned()));
            let media_root = media.map(|media| media.root.clone());
            inputs.insert(input.input.clone(), JobInput { path, tree, digest, files, media_root });
        }
        Ok((inputs, guards))
    }
}
