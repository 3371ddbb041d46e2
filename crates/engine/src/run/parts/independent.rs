//! [`make`]: makes parts that do not depend on each other.

use super::part::{CachedPart, PendingPart, create_folder, record};
use crate::events::PartCounts;
use crate::executor::{Ended, Session, WorkerUpdate};
use crate::keys::{ITEMS, part_fields};
use crate::run::job::{ActionError, Job};
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, Fields};
use pipe_stage::protocol::{MakePart, MakeParts, OldPart, PlannedPart, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Maximum number of parts that are made at a time. Each holds a lock, which is an open file.
const MAX_PENDING: usize = 512;

/// The parts of the stage's newest result that the store still has, by name, with the fields of their keys.
type OldParts = BTreeMap<String, (Fields, CachedPart)>;

/// Makes the parts that the store does not have. Waits for parts that another process is making after making all others.
pub(super) fn make(
    job: &Job,
    session: &mut dyn Session,
    planned: &[PlannedPart],
) -> Result<(Vec<CachedPart>, PartCounts), ActionError> {
    let mut counts = PartCounts::default();
    let mut cached: BTreeMap<usize, CachedPart> = BTreeMap::new();
    let all: Vec<(ActionKey, Fields)> = planned
        .iter()
        .map(|part| {
            let fields = part_fields(job.contract, part, &job.tools, None);
            (fields.key(), fields)
        })
        .collect();
    if job.takes_hits() {
        let found = all.iter().enumerate();
        cached.extend(found.filter_map(|(index, (key, _))| Some((index, CachedPart::find(job, *key)?))));
    }
    counts.hits = cached.len() as u64;
    job.note_kept(cached.len(), planned.len());
    let old = old_parts(job);
    loop {
        let missing = (0..planned.len()).filter(|index| !cached.contains_key(index));
        let missing: Vec<usize> = missing.take(MAX_PENDING).collect();
        if missing.is_empty() {
            return Ok((cached.into_values().collect(), counts));
        }
        let mut pending: BTreeMap<usize, PendingPart> = BTreeMap::new();
        for &index in &missing {
            let (key, fields) = &all[index];
            if let Some(lock) = job.try_lock(*key)? {
                pending.insert(index, PendingPart { key: *key, fields: fields.clone(), lock: Some(lock) });
            }
        }
        if pending.is_empty() {
            // Other processes are making everything that is missing. This one holds no lock while it waits, so that no two
            // processes wait for each other.
            drop(job.lock(all[missing[0]].0)?);
        }
        // The process that held a lock until now may have made the part.
        for index in missing {
            if job.takes_hits()
                && let Some(found) = CachedPart::find(job, all[index].0)
            {
                pending.remove(&index);
                counts.hits += 1;
                cached.insert(index, found);
                job.note_kept(cached.len(), planned.len());
            }
        }
        if !pending.is_empty() {
            counts.ran += pending.len() as u64;
            make_pending(job, session, planned, pending, &old, &mut cached)?;
        }
    }
}

/// Makes the parts in `pending`, and adds each to `cached` as soon as it is complete.
fn make_pending(
    job: &Job,
    session: &mut dyn Session,
    planned: &[PlannedPart],
    mut pending: BTreeMap<usize, PendingPart>,
    old: &OldParts,
    cached: &mut BTreeMap<usize, CachedPart>,
) -> Result<(), ActionError> {
    let mut parts = Vec::new();
    for (&index, part) in &pending {
        let name = &planned[index].name;
        let old = old.get(name).filter(|_| job.takes_hits());
        let old = match old.and_then(|(fields, old)| Some((same_items(fields, &part.fields)?, old))) {
            Some((same_items, old)) => Some(OldPart { made: old.made(name, job)?, same_items }),
            None => None,
        };
        parts.push(MakePart { name: name.clone(), folder: create_folder(job, name)?, old });
    }
    let request = job.request(Task::Make(MakeParts::independent(parts)))?;
    // Parts are made side by side: each counts for the time since the one before, so that together they count for the whole time.
    let mut since = Instant::now();
    let ended = session.run(request, &job.log, &mut |update| {
        let WorkerUpdate::PartFinished { name } = update else {
            job.report(update);
            return Ok(());
        };
        let index = planned.iter().position(|part| part.name == name);
        if let Some((index, part)) = index.and_then(|index| Some((index, pending.remove(&index)?))) {
            cached.insert(index, record(job, &part, &name, since)?);
            job.note_kept(cached.len(), planned.len());
            since = Instant::now();
        }
        Ok(())
    })?;
    match ended {
        Ended::Made { .. } if pending.is_empty() => Ok(()),
        other => Err(ActionError::Ended(other)),
    }
}

fn old_parts(job: &Job) -> OldParts {
    let store = &job.store;
    let Some(Lookup::Hit(latest)) = job.latest.map(|key| store.find(key)) else { return OldParts::new() };
    let part = |(name, key): (&String, &ActionKey)| {
        let fields = store.fields(*key).ok().flatten()?;
        Some((name.clone(), (fields, CachedPart::find(job, *key)?)))
    };
    latest.parts.iter().filter_map(part).collect()
}

/// Returns the items that are equal in both, if all other fields are.
fn same_items(old: &Fields, new: &Fields) -> Option<BTreeSet<String>> {
    let is_item = |path: &[String]| path.len() == 2 && path[0] == ITEMS;
    let settings = |fields: &Fields| -> Vec<(Vec<String>, String)> {
        let settings = fields.iter().filter(|field| !is_item(&field.path));
        settings.map(|field| (field.path.clone(), field.value.clone())).collect()
    };
    if settings(old) != settings(new) {
        return None;
    }
    let items = |fields: &Fields| -> BTreeSet<(String, String)> {
        let items = fields.iter().filter(|field| is_item(&field.path));
        items.map(|field| (field.path[1].clone(), field.value.clone())).collect()
    };
    Some(items(old).intersection(&items(new)).map(|(name, _)| name.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(setting: &str, items: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        fields.add(["with", "quality"], setting);
        for (name, value) in items {
            fields.add([ITEMS, name], *value);
        }
        fields.sorted()
    }

    #[test]
    fn items_are_the_same_only_under_equal_settings() {
        let old = fields("90", &[("a", "1"), ("b", "2")]);
        let same = |new: &Fields| same_items(&old, new).map(|items| items.into_iter().collect::<Vec<_>>().join(" "));
        assert_eq!(same(&fields("90", &[("a", "1"), ("b", "3"), ("c", "4")])), Some("a".into()));
        assert_eq!(same(&fields("90", &[])), Some(String::new()));
        assert_eq!(same(&fields("80", &[("a", "1")])), None);
    }
}
