//! [`Chain`]: makes parts each of which starts from the state that the one before it left.
//!
//! A link is a hit without its state. When a later link has to be made, the chain resumes from the newest link whose state the
//! store still has, and makes the links after that one again, which gives their states back. Link keys contain the digests of
//! the previous link's output and state, so links that come out differently, for example on another processor, are followed
//! by links with other keys.

use super::part::{CachedPart, PendingPart, create_folder, record};
use crate::error::RunError;
use crate::events::PartCounts;
use crate::executor::{Ended, Session, WorkerUpdate};
use crate::keys::{PreviousLink, part_fields};
use crate::run::job::{ActionError, Job};
use pipe_cache::verify::verify_output;
use pipe_cache::{ActionKey, Fields};
use pipe_stage::Summary;
use pipe_stage::protocol::{MadePart, MakePart, MakeParts, PlannedPart, Task};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

/// The links of an action, from the first on.
pub(super) struct Chain<'a> {
    job: &'a Job,
    planned: &'a [PlannedPart],
    /// The links that the store has.
    links: Vec<CachedPart>,
    /// Which of them this action has made.
    made: BTreeSet<usize>,
}

impl<'a> Chain<'a> {
    pub(super) fn new(job: &'a Job, planned: &'a [PlannedPart]) -> Self {
        Self { job, planned, links: Vec::new(), made: BTreeSet::new() }
    }

    /// Makes the links that the store does not have. Afterwards the chain has all planned links, or ended early.
    pub(super) fn make_all(&mut self, session: &mut dyn Session) -> Result<(), ActionError> {
        while let Some(next) = self.extend()? {
            let first = self.first_to_make(self.links.len())?;
            let pending = if first == self.links.len() { next } else { self.lock(first)? };
            // The stopping rule sees all links that there are, also those after the newest state.
            let earlier = self.made()?;
            if self.make(first..self.planned.len(), earlier, pending, session)? {
                break;
            }
        }
        Ok(())
    }

    /// Makes the link `name`, which has no state any more, again. Links that follow it differently now are made too.
    pub(super) fn restore_state(&mut self, name: &str, session: &mut dyn Session) -> Result<(), ActionError> {
        let index = self.planned.iter().take(self.links.len()).position(|part| part.name == name);
        let Some(index) = index.filter(|&index| !self.links[index].can_resume()) else {
            return Err(ActionError::Ended(Ended::StateNeeded { part: name.to_owned() }));
        };
        let num_links = self.links.len();
        let first = self.first_to_make(index)?;
        let pending = self.lock(first)?;
        // The links from `first` on are made again: a stopping rule that holds for all of them must not end this.
        let mut earlier = self.made()?;
        earlier.truncate(first);
        self.make(first..index + 1, earlier, pending, session)?;
        if self.links.len() < num_links {
            self.make_all(session)
        } else if self.links[index].can_resume() {
            Ok(())
        } else {
            Err(ActionError::Ended(Ended::StateNeeded { part: name.to_owned() }))
        }
    }

    /// Adds links that the store has. Returns the first link that it does not have, if there is one, with its lock.
    fn extend(&mut self) -> Result<Option<PendingPart>, ActionError> {
        while self.links.len() < self.planned.len() {
            let fields = self.fields(self.links.len());
            let key = fields.key();
            let job = self.job;
            let find = || job.takes_hits().then(|| CachedPart::find(job, key)).flatten();
            if let Some(found) = find() {
                self.add(found);
                continue;
            }
            // Another process may be making this link: then it is there afterwards.
            let lock = job.lock(key)?;
            match find() {
                Some(found) => self.add(found),
                None => return Ok(Some(PendingPart { key, fields, lock: Some(lock) })),
            }
        }
        Ok(None)
    }

    /// Returns the first link that must be made to make the link `index`: the one after the newest state before it. A state is read
    /// first, because all links after a damaged one would be wrong.
    fn first_to_make(&mut self, index: usize) -> Result<usize, ActionError> {
        while let Some(newest) = self.links[..index].iter().rposition(CachedPart::can_resume) {
            match &mut self.links[newest].state {
                Some(state) if !verify_output(&self.job.store, state.tree)?.is_empty() => state.kept = false,
                Some(_) | None => return Ok(newest + 1),
            }
        }
        Ok(0)
    }

    fn lock(&self, index: usize) -> Result<PendingPart, ActionError> {
        let fields = self.fields(index);
        let key = fields.key();
        Ok(PendingPart { key, fields, lock: Some(self.job.lock(key)?) })
    }

    fn fields(&self, index: usize) -> Fields {
        let previous = index.checked_sub(1).map(|previous| &self.links[previous]);
        let previous =
            previous.map(|link| PreviousLink { output: link.tree, state: link.state.map(|state| state.tree) });
        part_fields(self.job.contract, &self.planned[index], &self.job.tools, previous)
    }

    /// Makes the links in `range`, and returns whether the chain ended early.
    fn make(
        &mut self,
        range: Range<usize>,
        earlier: Vec<MadePart>,
        first: PendingPart,
        session: &mut dyn Session,
    ) -> Result<bool, ActionError> {
        let mut parts = Vec::new();
        for part in &self.planned[range.clone()] {
            parts.push(MakePart { name: part.name.clone(), folder: create_folder(self.job, &part.name)?, old: None });
        }
        let request = self.job.request(Task::Make(MakeParts { earlier, parts }))?;
        let (job, mut since) = (self.job, Instant::now());
        let (mut index, mut pending) = (range.start, Some(first));
        let ended = session.run(request, &job.log, &mut |update| {
            let WorkerUpdate::PartFinished { name } = update else {
                job.report(update);
                return Ok(());
            };
            let is_next = range.contains(&index) && self.planned[index].name == name;
            let Some(link) = pending.take().filter(|_| is_next) else { return Ok(()) };
            let made = record(job, &link, &name, since)?;
            since = Instant::now();
            self.put(index, made);
            index += 1;
            if range.contains(&index) {
                let fields = self.fields(index);
                let key = fields.key();
                // Taken before the last one is released, so that a process that waits for the last link next waits for this
                // one.
                let lock = job.try_lock(key)?;
                pending = Some(PendingPart { key, fields, lock });
            }
            drop(link.lock);
            Ok(())
        })?;
        match ended {
            Ended::Made { chain_ended: true } => Ok(true),
            Ended::Made { chain_ended: false } if index == range.end => Ok(false),
            other => Err(ActionError::Ended(other)),
        }
    }

    /// Puts a link that was made in its place. If it differs from the link that was there, the links after it are no longer
    /// part of the chain.
    fn put(&mut self, index: usize, made: CachedPart) {
        let is_same = |old: &CachedPart| {
            let state = |link: &CachedPart| link.state.map(|state| state.tree);
            old.tree == made.tree && state(old) == state(&made)
        };
        if !self.links.get(index).is_some_and(is_same) {
            self.links.truncate(index);
            self.made.retain(|&other| other < index);
        }
        match self.links.get_mut(index) {
            Some(link) => *link = made,
            None => self.add(made),
        }
        self.made.insert(index);
    }

    /// Adds the next link.
    fn add(&mut self, link: CachedPart) {
        self.links.push(link);
        self.job.note_kept(self.links.len(), self.planned.len());
    }

    /// Returns the links as a worker reads them.
    pub(super) fn made(&self) -> Result<Vec<MadePart>, RunError> {
        let pairs = self.planned.iter().zip(&self.links);
        pairs.map(|(planned, link)| link.made(&planned.name, self.job)).collect()
    }

    pub(super) fn counts(&self) -> PartCounts {
        let ran = self.made.len() as u64;
        PartCounts { hits: self.links.len() as u64 - ran, ran }
    }

    /// Returns the links whose states are not needed after the chain was assembled.
    pub(super) fn dropped_states(&self, summary: &Summary) -> Vec<ActionKey> {
        let num_used = summary.used_parts.unwrap_or(self.links.len()).min(self.links.len());
        // Unused links are there because the stopping rule was looser once. With the newest state, it can be so again without
        // making them again.
        let newest_unused = Some(self.links.len()).filter(|count| num_used < *count);
        let is_kept = |index: usize, name: &String| match &summary.kept_states {
            _ if newest_unused == Some(index + 1) => true,
            Some(names) => names.contains(name),
            None => index + 1 == num_used,
        };
        let links = self.planned.iter().zip(&self.links).enumerate();
        let dropped = links.filter(|(index, (part, link))| link.can_resume() && !is_kept(*index, &part.name));
        dropped.map(|(_, (_, link))| link.key).collect()
    }

    pub(super) fn into_parts(self) -> Vec<CachedPart> {
        self.links
    }
}
