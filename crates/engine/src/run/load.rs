//! Loads results: fetches them from the remote, and reads them before they are used.
//!
//! A lookup checks the sizes of a result's files, not their content. A result that becomes the newest of its stage is read as a whole;
//! with `--verify`, every result is.

use super::end::Details;
use super::job::Purpose;
use super::{Done, Run, RunMessage, StageState};
use crate::error::RunError;
use crate::events::{Outcome, RunEvent};
use crate::key_planner::Prepared;
use crate::reasons::Reason;
use pipe_cache::remote::Pulled;
use pipe_cache::store::Lookup;
use pipe_cache::verify::{Damage, Repair, verify_output};
use pipe_cache::{ActionRecord, CacheError};
use std::time::Instant;

impl Run<'_> {
    /// Uses a result of the store, after reading it if necessary.
    pub(super) fn hit(
        &mut self,
        stage: usize,
        prepared: Prepared,
        record: Box<ActionRecord>,
        since: Instant,
    ) -> Result<(), RunError> {
        let name = self.name(stage);
        let is_new = match &mut self.latest {
            Some(latest) => !latest.is_newest(&name, prepared.key)?,
            None => false,
        };
        if !self.options.verify && !is_new {
            let done = Done { record: *record, media: self.media(stage, &prepared) };
            let details = Details { is_published: self.latest.is_some(), ..Details::default() };
            return self.done(stage, Some(prepared.key), done, Outcome::Hit, since, details);
        }
        let (store, sender) = (self.store.clone(), self.sender.clone());
        self.pool.run(move || {
            let found = verify_output(&store, record.output.tree);
            // Without a receiver, the run has ended.
            let _ = sender.send(RunMessage::Verified { stage, record, found });
        })?;
        self.is_loading(stage, prepared, since);
        Ok(())
    }

    pub(super) fn verified(
        &mut self,
        stage: usize,
        record: Box<ActionRecord>,
        found: Result<Vec<Damage>, CacheError>,
    ) -> Result<(), RunError> {
        let Some((prepared, since)) = self.has_loaded(stage) else { return Ok(()) };
        match found {
            Ok(damage) if damage.is_empty() => {
                let done = Done { record: *record, media: self.media(stage, &prepared) };
                self.done(stage, Some(prepared.key), done, Outcome::Hit, since, Details::default())
            }
            Ok(damage) if let Some(error) = not_moved(&damage) => self.failed_to_start(stage, &error, since),
            Ok(damage) if self.may_fetch(stage) => {
                for damage in damage {
                    self.event(&RunEvent::Warning { text: damage.to_string() })?;
                }
                self.fetch(stage, prepared, since)
            }
            Ok(damage) => {
                let reason = |damage: &Damage| Reason::Damaged { what: damage.to_string() };
                let reasons: Vec<Reason> = damage.iter().map(reason).collect();
                self.start_if_needed(stage, prepared, &reasons, since)
            }
            Err(error) => self.failed_to_start(stage, &error.into(), since),
        }
    }

    /// Returns whether the result of a stage can be fetched from a remote. That is tried once.
    pub(super) fn may_fetch(&self, stage: usize) -> bool {
        self.options.remote.is_some() && self.work.is_some() && !self.fetched.contains(&stage)
    }

    /// Fetches the result of a stage from the remote. This takes the resources of the stage, because results may be large.
    pub(super) fn fetch(&mut self, stage: usize, prepared: Prepared, since: Instant) -> Result<(), RunError> {
        let Some(remote) = self.options.remote.clone() else { return Ok(()) };
        self.fetched.insert(stage);
        let (key, store, sender) = (prepared.key, self.store.clone(), self.sender.clone());
        self.pool.run(move || {
            let found = remote.pull(&store, key, &crate::remote::ports_fit);
            // Without a receiver, the run has ended.
            let _ = sender.send(RunMessage::Fetched { stage, found });
        })?;
        self.is_loading(stage, prepared, since);
        Ok(())
    }

    pub(super) fn fetched(&mut self, stage: usize, found: Result<Pulled, CacheError>) -> Result<(), RunError> {
        let Some((prepared, since)) = self.has_loaded(stage) else { return Ok(()) };
        match found {
            Ok(Pulled::Got { record, bytes }) => {
                self.event(&RunEvent::StageFetched { stage: self.name(stage), bytes })?;
                // Files that the store had already were not fetched, and may be damaged.
                return self.hit(stage, prepared, record, since);
            }
            Ok(Pulled::Absent) => {}
            Ok(Pulled::Damaged(error) | Pulled::Unreachable(error)) => {
                self.event(&RunEvent::RemoteTrouble { text: in_one_line(&error) })?;
            }
            Err(error) => return self.failed_to_start(stage, &error.into(), since),
        }
        let reasons = match self.store.find(prepared.key) {
            Lookup::Damaged(error) => vec![Reason::Damaged { what: error.to_string() }],
            _ => self.key_planner.reasons(&self.store, stage, &prepared)?,
        };
        self.start_if_needed(stage, prepared, &reasons, since)
    }

    /// Starts a stage whose result could not be loaded, unless the run was cancelled in the meantime.
    fn start_if_needed(
        &mut self,
        stage: usize,
        prepared: Prepared,
        reasons: &[Reason],
        since: Instant,
    ) -> Result<(), RunError> {
        if self.cancel.level() > 0 {
            return Ok(()); // it is skipped with all other waiting stages
        }
        self.start_because(stage, prepared, Purpose::Result, reasons, since)
    }

    fn is_loading(&mut self, stage: usize, prepared: Prepared, since: Instant) {
        let lease = self.schedule.take(stage, &self.plan.stage(stage).limits);
        self.states[stage] = StageState::Loading { prepared: Box::new(prepared), since, lease };
        self.running.insert(stage);
    }

    fn has_loaded(&mut self, stage: usize) -> Option<(Prepared, Instant)> {
        let state = std::mem::replace(&mut self.states[stage], StageState::Waiting);
        let StageState::Loading { prepared, since, lease } = state else { return None };
        self.running.remove(&stage);
        self.schedule.give_back(lease);
        Some((*prepared, since))
    }
}

/// Returns the error of a damaged object that is still in its place, where the new one belongs.
fn not_moved(damage: &[Damage]) -> Option<RunError> {
    damage.iter().find_map(|damage| match &damage.remedy {
        Repair::Failed(why) => Some(RunError::DamageInPlace { what: damage.to_string(), why: why.clone() }),
        Repair::None | Repair::SetAside(_) | Repair::Rebuilt(_) => None,
    })
}

/// Returns an error with its causes in one line.
fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
