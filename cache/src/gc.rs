//! Garbage collection: deletes results, the least recently used first, and objects that no result needs. Start with [`plan`].
//!
//! [`plan`] decides what to delete, as a [`GcPlan`]. [`carry_out`] deletes in an order that leaves only complete results after every
//! step: records, then trees, then blobs. If it is killed, it leaves objects that no result needs, and the next collection deletes
//! these.
//!
//! A result is kept if the caller names its key, or if it is a part of a kept result. The last use of a result is when its record was
//! written or a hit updated its time (at most once a day), or the last use of a result that it is a part of, whichever is later.

use crate::hold::StoreLock;
use crate::inventory::{Counted, Inventory, KnownAction, list_folder, measure_files};
use crate::store::Store;
use crate::{ActionKey, CacheError};
use planner::Planner;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use step::Step;

mod planner;
mod step;

/// Limits for the results to keep.
#[derive(Debug, Clone, Copy, Default)]
pub struct GcLimits {
    /// Maximum total size.
    pub max_size_bytes: Option<u64>,
    /// Maximum time since the last use.
    pub max_age: Option<Duration>,
}

/// What to delete, and what remains.
#[derive(Debug, Default, Serialize)]
pub struct GcPlan {
    /// The results to delete, in this order.
    pub actions: Vec<RemovedAction>,
    /// Trees, blobs and fields that no result needs.
    pub unreachable: Counted,
    /// Temporary files of processes that were killed.
    pub leftovers: Counted,
    /// Files that [`crate::verify`] set aside.
    pub damaged: Counted,
    /// Number of lock files to delete.
    pub num_locks: u64,
    /// Size of everything to delete.
    pub freed_bytes: u64,
    /// The remaining results, with the size of all objects they need.
    pub left: Counted,
    /// The remaining results that the caller keeps.
    pub kept: Counted,
    /// Bytes by which the store remains larger than the limit, because of the kept results.
    pub over_bytes: u64,
    #[serde(skip)]
    steps: Vec<Step>,
}

/// A result to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemovedAction {
    /// The action key.
    pub key: ActionKey,
    /// The stage kind.
    pub kind: String,
    /// Why it is deleted.
    pub reason: RemovalReason,
    /// Time of the last use, in seconds since 1970.
    pub last_use_unix_secs: u64,
    /// Time it took to make.
    pub duration_millis: u64,
    /// Bytes freed by deleting it after the results before it.
    pub freed_bytes: u64,
}

/// Why a result is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalReason {
    /// Some of its objects are missing.
    Broken,
    /// Its last use is too long ago.
    Age,
    /// The store is too large, and it is the least recently used of the remaining results.
    Size,
}

/// Decides what to delete from `store` so that it meets `limits` at the time `now`. Results whose keys are in `keep` always remain.
///
/// # Errors
/// [`CacheError::Unreadable`] if a record or a list of files is damaged, because it is unknown which objects it needs.
pub fn plan(
    store: &Store,
    limits: &GcLimits,
    keep: &BTreeSet<ActionKey>,
    now: SystemTime,
) -> Result<GcPlan, CacheError> {
    plan_from(store, &Inventory::read(store)?, limits, keep, now)
}

pub(crate) fn plan_from(
    store: &Store,
    inventory: &Inventory,
    limits: &GcLimits,
    keep: &BTreeSet<ActionKey>,
    now: SystemTime,
) -> Result<GcPlan, CacheError> {
    if let Some(path) = first_unreadable(store, inventory) {
        return Err(CacheError::Unreadable { path });
    }
    let mut planner = Planner::new(inventory);
    planner.sweep();
    planner.drop_results(limits, keep, now);
    let mut plan = planner.plan;
    for (_, path) in list_folder(&store.root.join("tmp"))? {
        let found = measure_files(&path)?;
        plan.leftovers.count += 1;
        plan.leftovers.size_bytes += found.size_bytes;
        plan.steps.push(Step::Leftover(path));
    }
    for (_, path) in list_folder(&store.root.join("damaged"))? {
        let found = measure_files(&path)?;
        plan.damaged.count += found.count;
        plan.damaged.size_bytes += found.size_bytes;
        plan.steps.push(Step::Leftover(path));
    }
    for (_, path) in list_folder(&store.root.join("locks"))? {
        plan.num_locks += 1;
        plan.steps.push(Step::Lock(path));
    }
    plan.freed_bytes += plan.unreachable.size_bytes + plan.leftovers.size_bytes + plan.damaged.size_bytes;
    plan.steps.sort_by_key(Step::rank);
    Ok(plan)
}

/// Deletes what `plan` contains. The lock proves that no run uses the store.
pub fn carry_out(store: &Store, _alone: &StoreLock, plan: &GcPlan) -> Result<(), CacheError> {
    // Deleting is slow, and faster in parallel; only the order of ranks matters.
    let mut ranks = plan.steps.chunk_by(|one, two| one.rank() == two.rank());
    ranks.try_for_each(|steps| steps.par_iter().try_for_each(|step| step.carry_out(store)))
}

/// Returns the first damaged record, or the first damaged list of a result.
fn first_unreadable(store: &Store, inventory: &Inventory) -> Option<PathBuf> {
    let damaged = |action: &KnownAction| {
        let digest = action.record.output.tree;
        let tree = inventory.trees.get(&digest)?;
        (tree.tree.is_none() && tree.size_bytes > 0).then(|| store.tree_folder(digest).join("tree.json"))
    };
    inventory.unreadable.first().cloned().or_else(|| inventory.actions.values().find_map(damaged))
}

pub(crate) fn unix_secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
