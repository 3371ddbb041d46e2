//! One part of an action: [`CachedPart`], [`PendingPart`], and [`record`], which puts a part into the store.

use crate::error::RunError;
use crate::run::clock::unix_secs;
use crate::run::job::{HeldLock, Job, Purpose};
use fs_err as fs;
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, ActionRecord, Digest, Fields, OutputRecord, StateRecord};
use pipe_schemas::Parts;
use pipe_stage::Environment;
use pipe_stage::protocol::{MadePart, PART_FILES, PART_NOTES, PART_STATE};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// A part that the store has.
#[derive(Debug, Clone)]
pub(super) struct CachedPart {
    pub(super) key: ActionKey,
    /// Its files and notes.
    pub(super) tree: Digest,
    /// Of a link of a chain. It is `kept` if the store has its files.
    pub(super) state: Option<StateRecord>,
    /// What its bits depend on besides its key; empty if they depend on nothing else.
    pub(super) environment: Environment,
}

/// A part that this process is going to make.
pub(super) struct PendingPart {
    pub(super) key: ActionKey,
    pub(super) fields: Fields,
    /// Held until the part is recorded.
    pub(super) lock: Option<HeldLock>,
}

impl CachedPart {
    /// Returns the part as the store has it.
    pub(super) fn find(job: &Job, key: ActionKey) -> Option<Self> {
        let Lookup::Hit(record) = job.store.find(key) else { return None };
        let has_state = job.store.has_state(&record);
        let state = record.state.map(|state| StateRecord { kept: has_state, ..state });
        Some(Self { key, tree: record.output.tree, state, environment: record.environment })
    }

    /// Returns whether the next link can start from this one: its state was not dropped.
    pub(super) fn can_resume(&self) -> bool {
        self.state.is_none_or(|state| state.kept)
    }

    /// Returns the part as a worker reads it.
    pub(super) fn made(&self, name: &str, job: &Job) -> Result<MadePart, RunError> {
        let view = |tree| std::path::absolute(job.store.view(tree));
        let state = self.state.filter(|state| state.kept).map(|state| view(state.tree)).transpose()?;
        Ok(MadePart { name: name.to_owned(), folder: view(self.tree)?, state })
    }
}

/// Returns the folder in which a worker makes the part `name`.
pub(super) fn folder(job: &Job, name: &str) -> PathBuf {
    job.work.join("parts").join(name)
}

/// Creates the folder in which a worker makes the part `name`, and returns its absolute path.
pub(super) fn create_folder(job: &Job, name: &str) -> Result<PathBuf, RunError> {
    let folder = folder(job, name);
    fs::create_dir_all(&folder)?;
    Ok(std::path::absolute(folder)?)
}

/// Puts a complete part into the store.
///
/// It is not recorded if a source has changed since its key was made. The stage itself checks the files in a `videos` table:
/// there may be many independent parts with many sources each.
pub(super) fn record(job: &Job, pending: &PendingPart, name: &str, since: Instant) -> Result<CachedPart, RunError> {
    let folder = folder(job, name);
    let state_folder = folder.join(PART_STATE);
    let state = if state_folder.is_dir() {
        Some(StateRecord { tree: job.store.insert(&state_folder)?.digest(), kept: true })
    } else {
        None
    };
    let wanted = |path: &str| [PART_FILES, PART_NOTES].iter().any(|kind| path.starts_with(&format!("{kind}/")));
    let tree = job.store.assemble(job.store.insert_files(&folder, wanted)?)?.digest();
    let environment = job.environment.borrow().clone();
    let record = ActionRecord {
        kind: job.contract.kind.to_owned(),
        output: OutputRecord { tree, ports: BTreeMap::new() },
        parts: BTreeMap::new(),
        state,
        environment: environment.clone(),
        figures: BTreeMap::new(),
        summary: Vec::new(),
        warnings: Vec::new(),
        duration_millis: since.elapsed().as_millis() as u64,
        peak_memory_bytes: None,
        ended_unix_secs: unix_secs(),
    };
    let is_check = matches!(job.purpose, Purpose::Check(_));
    let stage_checks_sources = job.contract.parts == Some(Parts::Independent) && job.sources.is_empty();
    job.check_inputs()?;
    if !is_check && (stage_checks_sources || job.changed()?.is_none()) {
        job.store.record(pending.key, &pending.fields, &record)?;
    }
    Ok(CachedPart { key: pending.key, tree, state, environment })
}
