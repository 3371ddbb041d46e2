//! Ends stages: reports the result, and makes the stages that read it ready.

use super::action::JobEnd;
use super::failure::{failure_of, timed_out};
use super::job::KeptParts;
use super::locked::LockedComparison;
use super::{Done, Run, StageState};
use crate::error::RunError;
use crate::events::{Failure, Outcome, PartCounts, RunEvent};
use pipe_cache::ActionKey;
use pipe_schemas::Parts;
use pipe_stage::grouped;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// What is reported of a stage besides its record.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) parts: Option<PartCounts>,
    /// A source that changed while the stage ran.
    pub(super) changed: Option<PathBuf>,
    /// How the result was compared with one that it equals.
    pub(super) compared: Option<String>,
    /// Whether the link of the stage is known to lead to the result.
    pub(super) is_published: bool,
}

impl Run<'_> {
    pub(super) fn ended(&mut self, stage: usize, end: JobEnd, kept: Option<KeptParts>) -> Result<(), RunError> {
        let StageState::Running(running) = std::mem::replace(&mut self.states[stage], StageState::Over) else {
            return Ok(());
        };
        let spec = self.plan.stage(stage);
        self.running.remove(&stage);
        self.schedule.give_back(running.lease);
        let (key, since, media) = (running.key, running.since, running.media);
        match end {
            JobEnd::Shared(record) => {
                self.done(stage, Some(key), Done { record: *record, media }, Outcome::Hit, since, Details::default())
            }
            JobEnd::Ran { record, parts, changed } => {
                let done = Done { record: *record, media };
                let key = changed.is_none().then_some(key);
                self.done(stage, key, done, Outcome::Ran, since, Details { parts, changed, ..Details::default() })
            }
            JobEnd::Same { record, compared } => {
                let details = Details { compared: Some(compared), ..Details::default() };
                self.done(stage, Some(key), Done { record: *record, media }, Outcome::Ran, since, details)
            }
            JobEnd::Cancelled | JobEnd::Failed(_) | JobEnd::Died(_) if running.timed_out => {
                let failure =
                    timed_out(spec.limits.timeout.unwrap_or_default(), &self.recorder.log(spec.name.as_str()));
                self.stopped(stage, key, Outcome::Failed, Some(failure), since, kept)
            }
            JobEnd::Cancelled => self.stopped(stage, key, Outcome::Skipped, None, since, kept),
            JobEnd::Died(_) if running.handle.is_stopped() => {
                self.stopped(stage, key, Outcome::Skipped, None, since, kept)
            }
            JobEnd::Died(failure) if self.has_a_try_left(stage) => self.again(stage, failure),
            JobEnd::Died(failure) | JobEnd::Failed(failure) => {
                self.stopped(stage, key, Outcome::Failed, Some(failure), since, kept)
            }
        }
    }

    pub(super) fn has_a_try_left(&self, stage: usize) -> bool {
        self.tries.get(&stage).copied().unwrap_or(0) < self.plan.stage(stage).limits.retries
    }

    /// Schedules a stage again after its worker crashed or was killed.
    pub(super) fn again(&mut self, stage: usize, failure: Failure) -> Result<(), RunError> {
        let tries = self.tries.entry(stage).or_default();
        *tries += 1;
        let (tries, of) = (*tries, self.plan.stage(stage).limits.retries);
        self.states[stage] = StageState::Waiting;
        self.schedule.again(stage);
        self.event(&RunEvent::StageRetried { stage: self.name(stage), tries, of, failure })
    }

    pub(super) fn done(
        &mut self,
        stage: usize,
        key: Option<ActionKey>,
        done: Done,
        outcome: Outcome,
        since: Instant,
        details: Details,
    ) -> Result<(), RunError> {
        let name = self.name(stage);
        let (mut locked_lines, mut locked_warning) = (None, None);
        match self.compare_with_locked(stage, &done.record) {
            Ok(LockedComparison::Evident) => {}
            Ok(LockedComparison::Identical) => locked_lines = Some("bit-identical to the locked result".to_owned()),
            Ok(LockedComparison::Approximate(text)) => locked_warning = Some(text),
            Err(failure) => return self.over(stage, key, Outcome::Failed, Some(failure), since),
        }
        if let Err(failure) = self.check_num_classes(stage, &done.record) {
            return self.over(stage, key, Outcome::Failed, Some(failure), since);
        }
        if !details.is_published
            && let Some(latest) = &mut self.latest
        {
            latest.publish(&name, &self.store.view(done.record.output.tree), key)?;
        }
        let mut warnings = done.record.warnings.clone();
        warnings.extend(locked_warning);
        warnings.extend(details.changed.map(|path| {
            format!("{} changed while the stage ran; its result is not kept for the next run", path.display())
        }));
        let event = RunEvent::StageFinished {
            stage: name,
            outcome,
            key: key.map(|key| key.to_string()),
            output: Some(done.record.output.tree.to_string()),
            duration_millis: since.elapsed().as_millis() as u64,
            parts: details.parts,
            summary: done.record.summary.iter().cloned().chain(details.compared).chain(locked_lines).collect(),
            figures: done.record.figures.clone(),
            environment: done.record.environment.clone(),
            warnings,
            failure: None,
        };
        self.states[stage] = StageState::Done(done);
        self.schedule.done(stage);
        self.event(&event)
    }

    pub(super) fn failed_to_start(&mut self, stage: usize, error: &RunError, since: Instant) -> Result<(), RunError> {
        let failure = failure_of(error);
        self.over(stage, None, Outcome::Failed, Some(failure), since)
    }

    /// Ends a stage without a result.
    pub(super) fn over(
        &mut self,
        stage: usize,
        key: Option<ActionKey>,
        outcome: Outcome,
        failure: Option<Failure>,
        since: Instant,
    ) -> Result<(), RunError> {
        self.over_with(stage, key, outcome, failure, since, Vec::new())
    }

    /// Ends a stage that has run without a result. What it made until then is kept.
    fn stopped(
        &mut self,
        stage: usize,
        key: ActionKey,
        outcome: Outcome,
        failure: Option<Failure>,
        since: Instant,
        kept: Option<KeptParts>,
    ) -> Result<(), RunError> {
        let noun = self.plan.stage(stage).contract.parts.map_or("parts", Parts::noun);
        let lines = kept.filter(|parts| parts.kept > 0).map(|KeptParts { kept, total }| {
            let are = if kept == 1 { "is" } else { "are" };
            format!("{} of {} {noun} {are} kept: the next run continues from there", grouped(kept), grouped(total))
        });
        self.over_with(stage, Some(key), outcome, failure, since, lines.into_iter().collect())
    }

    fn over_with(
        &mut self,
        stage: usize,
        key: Option<ActionKey>,
        outcome: Outcome,
        failure: Option<Failure>,
        since: Instant,
        summary: Vec<String>,
    ) -> Result<(), RunError> {
        self.failed |= outcome == Outcome::Failed;
        self.states[stage] = StageState::Over;
        self.event(&RunEvent::StageFinished {
            stage: self.name(stage),
            outcome,
            key: key.map(|key| key.to_string()),
            output: None,
            duration_millis: since.elapsed().as_millis() as u64,
            parts: None,
            summary,
            figures: BTreeMap::new(),
            environment: BTreeMap::new(),
            warnings: Vec::new(),
            failure,
        })
    }

    pub(super) fn skip_the_rest(&mut self) -> Result<(), RunError> {
        for &stage in self.plan.order() {
            if self.wanted.contains(&stage) && matches!(self.states[stage], StageState::Waiting) {
                self.over(stage, None, Outcome::Skipped, None, Instant::now())?;
            }
        }
        Ok(())
    }
}
