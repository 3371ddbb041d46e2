//! [`PartedJob`]: an action that is made in parts, each of them an action of its own.
//!
//! The worker says which parts there are; those that the store has are taken from it; the worker makes the others, and
//! each is recorded as soon as it is made; then the worker puts all of them together. What is interrupted goes on from
//! the last part that was recorded.

use super::job::{Job, NoResult, Purpose, Worked, unix_secs};
use crate::error::RunError;
use crate::events::PartCounts;
use crate::keys::{ITEMS, part_fields};
use crate::local::{Ended, Meanwhile, WorkerProcess};
use fs_err as fs;
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, ActionLock, ActionRecord, Digest, Fields, OutputRecord};
use pipe_schemas::Parts;
use pipe_stage::protocol::{MadePart, MakePart, MakeParts, OldPart, PART_FILES, PlannedPart, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

/// An action that is made in parts.
pub(super) struct PartedJob<'a> {
    job: &'a Job,
    worker: &'a mut WorkerProcess,
}

/// A part that the store has.
struct Have {
    key: ActionKey,
    tree: Digest,
}

/// A part that is to be made by this process.
struct Todo {
    key: ActionKey,
    fields: Fields,
    /// Held until the part is recorded.
    lock: Option<ActionLock>,
}

impl<'a> PartedJob<'a> {
    pub(super) fn new(job: &'a Job, worker: &'a mut WorkerProcess) -> Self {
        Self { job, worker }
    }

    pub(super) fn run(mut self) -> Result<Worked, NoResult> {
        let planned = self.plan()?;
        let mut counts = PartCounts::default();
        let have = match self.job.contract.parts {
            Some(Parts::Chain) => self.chain(&planned, &mut counts)?,
            _ => self.independent(&planned, &mut counts)?,
        };
        self.assemble(&planned, &have, counts)
    }

    fn plan(&mut self) -> Result<Vec<PlannedPart>, NoResult> {
        let request = self.job.request(Task::Plan)?;
        let job = self.job;
        let told = |meanwhile| {
            job.progress(meanwhile);
            Ok::<_, RunError>(())
        };
        match self.worker.run(request, &job.log, told)? {
            Ended::Planned { parts } => Ok(parts),
            other => Err(NoResult::Ended(other)),
        }
    }

    fn fields(&self, part: &PlannedPart, previous: Option<Digest>) -> Fields {
        part_fields(self.job.contract, part, &self.job.tools, previous)
    }

    fn find(&self, key: ActionKey) -> Option<Have> {
        match self.job.store.find(key) {
            Lookup::Hit(record) => Some(Have { key, tree: record.output.tree }),
            _ => None,
        }
    }

    fn made(&self, name: &str, tree: Digest) -> Result<MadePart, RunError> {
        Ok(MadePart { name: name.to_owned(), folder: std::path::absolute(self.job.store.view(tree))? })
    }

    /// Makes parts that do not need each other. Those that another process makes are waited for at the end.
    fn independent(&mut self, planned: &[PlannedPart], counts: &mut PartCounts) -> Result<Vec<Have>, NoResult> {
        let mut have: BTreeMap<usize, Have> = BTreeMap::new();
        let all: Vec<(ActionKey, Fields)> = planned
            .iter()
            .map(|part| {
                let fields = self.fields(part, None);
                (fields.key(), fields)
            })
            .collect();
        if self.job.takes_hits() {
            have.extend(all.iter().enumerate().filter_map(|(place, (key, _))| Some((place, self.find(*key)?))));
        }
        counts.hits = have.len() as u64;
        let old = self.old_parts();
        loop {
            let missing: Vec<usize> = (0..planned.len()).filter(|place| !have.contains_key(place)).collect();
            if missing.is_empty() {
                return Ok(have.into_values().collect());
            }
            let mut todo: BTreeMap<usize, Todo> = BTreeMap::new();
            for &place in &missing {
                let (key, fields) = &all[place];
                if let Some(lock) = self.job.store.try_lock(*key)? {
                    todo.insert(place, Todo { key: *key, fields: fields.clone(), lock: Some(lock) });
                }
            }
            if todo.is_empty() {
                // All that is missing is being made by others. Nothing is held while waiting, so nobody waits for us.
                drop(self.job.lock(all[missing[0]].0)?);
            }
            // Whoever held a lock until now may have made the part.
            for place in missing {
                if self.job.takes_hits()
                    && let Some(found) = self.find(all[place].0)
                {
                    todo.remove(&place);
                    counts.hits += 1;
                    have.insert(place, found);
                }
            }
            if !todo.is_empty() {
                counts.ran += todo.len() as u64;
                have.extend(self.make(planned, todo, &old)?);
            }
        }
    }

    fn make(
        &mut self,
        planned: &[PlannedPart],
        mut todo: BTreeMap<usize, Todo>,
        old: &BTreeMap<String, (Fields, Digest)>,
    ) -> Result<BTreeMap<usize, Have>, NoResult> {
        let mut parts = Vec::new();
        for (&place, part) in &todo {
            let name = &planned[place].name;
            let old = old.get(name).filter(|_| self.job.takes_hits());
            let old = match old.and_then(|(fields, tree)| Some((same_items(fields, &part.fields)?, tree))) {
                Some((same_items, tree)) => Some(OldPart { made: self.made(name, *tree)?, same_items }),
                None => None,
            };
            parts.push(MakePart { name: name.clone(), folder: self.part_folder(name)?, old });
        }
        let request = self.job.request(Task::Make(MakeParts { after: None, parts }))?;
        let (job, mut have) = (self.job, BTreeMap::new());
        let since = Instant::now();
        let folder = |name: &str| self_folder(job, name);
        let ended = self.worker.run(request, &job.log, |meanwhile| match meanwhile {
            Meanwhile::PartFinished { name } => {
                let place = planned.iter().position(|part| part.name == name);
                let Some((place, part)) = place.and_then(|place| Some((place, todo.remove(&place)?))) else {
                    return Ok(());
                };
                let tree = record(job, part.key, &part.fields, folder(&name), since)?;
                have.insert(place, Have { key: part.key, tree });
                Ok(())
            }
            progress @ (Meanwhile::Progress { .. } | Meanwhile::Measured { .. }) => {
                job.progress(progress);
                Ok::<_, RunError>(())
            }
        })?;
        match ended {
            Ended::Finished { .. } if todo.is_empty() => Ok(have),
            other => Err(NoResult::Ended(other)),
        }
    }

    /// Makes parts each of which needs the one before: finds the last one that the store has, and goes on from there.
    fn chain(&mut self, planned: &[PlannedPart], counts: &mut PartCounts) -> Result<Vec<Have>, NoResult> {
        let mut have: Vec<Have> = Vec::new();
        let first = loop {
            let Some(part) = planned.get(have.len()) else {
                counts.hits = have.len() as u64;
                return Ok(have);
            };
            let fields = self.fields(part, have.last().map(|have| have.tree));
            let key = fields.key();
            if self.job.takes_hits()
                && let Some(found) = self.find(key)
            {
                have.push(found);
                continue;
            }
            // Another process may be at just this part: then it is there afterwards.
            let lock = self.job.lock(key)?;
            match self.find(key) {
                Some(found) if self.job.takes_hits() => have.push(found),
                _ => break Todo { key, fields, lock: Some(lock) },
            }
        };
        counts.hits = have.len() as u64;
        let after = match have.last() {
            Some(last) => Some(self.made(&planned[have.len() - 1].name, last.tree)?),
            None => None,
        };
        let mut parts = Vec::new();
        for part in &planned[have.len()..] {
            parts.push(MakePart { name: part.name.clone(), folder: self.part_folder(&part.name)?, old: None });
        }
        let request = self.job.request(Task::Make(MakeParts { after, parts }))?;
        let (job, mut next) = (self.job, Some(first));
        let since = Instant::now();
        let ended = self.worker.run(request, &job.log, |meanwhile| match meanwhile {
            Meanwhile::PartFinished { name } => {
                let Some(todo) = next.take().filter(|_| planned[have.len()].name == name) else { return Ok(()) };
                let tree = record(job, todo.key, &todo.fields, self_folder(job, &name), since)?;
                have.push(Have { key: todo.key, tree });
                counts.ran += 1;
                if let Some(part) = planned.get(have.len()) {
                    let fields = part_fields(job.contract, part, &job.tools, Some(tree));
                    let key = fields.key();
                    // Taken before the last one is let go, so that whoever waits for that one next waits for this one.
                    let lock = job.store.try_lock(key)?;
                    next = Some(Todo { key, fields, lock });
                }
                drop(todo.lock);
                Ok(())
            }
            progress @ (Meanwhile::Progress { .. } | Meanwhile::Measured { .. }) => {
                job.progress(progress);
                Ok::<_, RunError>(())
            }
        })?;
        match ended {
            Ended::Finished { .. } if have.len() == planned.len() => Ok(have),
            other => Err(NoResult::Ended(other)),
        }
    }

    fn assemble(&mut self, planned: &[PlannedPart], have: &[Have], counts: PartCounts) -> Result<Worked, NoResult> {
        let pairs = || planned.iter().zip(have);
        let parts = pairs().map(|(part, have)| self.made(&part.name, have.tree)).collect::<Result<Vec<_>, _>>()?;
        let request = self.job.request(Task::Assemble { parts })?;
        let output = request.output.clone();
        let job = self.job;
        let told = |meanwhile| {
            job.progress(meanwhile);
            Ok::<_, RunError>(())
        };
        let ended = self.worker.run(request, &job.log, told)?;
        let Ended::Finished { summary, warnings, peak_memory_bytes } = ended else {
            return Err(NoResult::Ended(ended));
        };
        let mut files = job.store.insert_files(&output, |_| true)?;
        for have in have {
            if let Ok(part) = job.store.tree(have.tree)?.part(PART_FILES) {
                files.extend(part.files);
            }
        }
        let tree = job.store.assemble(files)?;
        let parts = pairs().map(|(part, have)| (part.name.clone(), have.key)).collect();
        Ok(Worked { tree, parts, counts: Some(counts), summary, warnings, peak_memory_bytes })
    }

    fn part_folder(&self, name: &str) -> Result<PathBuf, RunError> {
        let folder = self_folder(self.job, name);
        fs::create_dir_all(&folder)?;
        Ok(std::path::absolute(folder)?)
    }

    /// Returns the parts of the stage's newest result, as far as they are still there: what they are made of, and their
    /// output.
    fn old_parts(&self) -> BTreeMap<String, (Fields, Digest)> {
        let store = &self.job.store;
        let Some(Lookup::Hit(latest)) = self.job.latest.map(|key| store.find(key)) else { return BTreeMap::new() };
        let part = |(name, key): (&String, &ActionKey)| {
            let fields = store.fields(*key).ok().flatten()?;
            let Lookup::Hit(record) = store.find(*key) else { return None };
            Some((name.clone(), (fields, record.output.tree)))
        };
        latest.parts.iter().filter_map(part).collect()
    }
}

fn self_folder(job: &Job, name: &str) -> PathBuf {
    job.work.join("parts").join(name)
}

/// Puts a part that is made into the store. It is not recorded where a source is not what its key says. What stands in a
/// `videos` table is looked at by the stage itself: independent parts may be many, and the sources of each, too.
fn record(job: &Job, key: ActionKey, fields: &Fields, folder: PathBuf, since: Instant) -> Result<Digest, RunError> {
    let tree = job.store.insert(&folder)?.digest();
    let record = ActionRecord {
        kind: job.contract.kind.to_owned(),
        output: OutputRecord { tree, ports: BTreeMap::new() },
        parts: BTreeMap::new(),
        summary: Vec::new(),
        warnings: Vec::new(),
        duration_millis: since.elapsed().as_millis() as u64,
        peak_memory_bytes: None,
        ended_unix_secs: unix_secs(),
    };
    let checking = matches!(job.purpose, Purpose::Check(_));
    let looks_itself = job.contract.parts == Some(Parts::Independent) && job.sources.is_empty();
    if !checking && (looks_itself || job.changed()?.is_none()) {
        job.store.record(key, fields, &record)?;
    }
    Ok(tree)
}

/// Returns the items that are the same in both, if all else is.
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
