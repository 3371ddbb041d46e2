//! The results that `pipe cache gc` keeps, and the leftovers that it removes beside the store.

use crate::bookkeeping::Bookkeeping;
use crate::error::RunError;
use crate::latest;
use crate::lockfile::LockFile;
use crate::record::recorded_keys;
use crate::run::{DOWNLOADS, work};
use fs_err as fs;
use pipe_cache::gc::{self, GcLimits};
use pipe_cache::{ActionKey, Counted, Store, list_folder, measure_files};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Number of runs whose results are kept: those that ended last. The newest result of every stage is kept too.
pub const KEPT_RUNS: usize = 10;

/// Returns the stages, as `pipeline/stage`, by the keys of their newest results.
pub fn stages_by_key(kept: &Bookkeeping) -> Result<BTreeMap<ActionKey, Vec<String>>, RunError> {
    let mut stages: BTreeMap<ActionKey, Vec<String>> = BTreeMap::new();
    for (pipeline, keys) in latest::all_keys(kept)? {
        for (stage, key) in keys {
            stages.entry(key).or_default().push(format!("{pipeline}/{stage}"));
        }
    }
    Ok(stages)
}

/// Returns the keys of the results to keep: the newest one of every stage, those of the last [`KEPT_RUNS`] runs, and those in
/// lock files.
pub fn wanted_keys(kept: &Bookkeeping) -> Result<BTreeSet<ActionKey>, RunError> {
    let mut keys: BTreeSet<ActionKey> = stages_by_key(kept)?.into_keys().collect();
    keys.extend(LockFile::all_keys(kept)?);
    let mut ended: Vec<(SystemTime, PathBuf)> = Vec::new();
    for (_, run) in list_folder(&kept.root().join("runs"))? {
        // A run that is still running or was killed has no summary.
        if let Ok(metadata) = fs::metadata(run.join("summary.json")) {
            ended.push((metadata.modified()?, run));
        }
    }
    ended.sort();
    for (_, run) in ended.iter().rev().take(KEPT_RUNS) {
        keys.extend(recorded_keys(kept, run)?);
    }
    Ok(keys)
}

/// Returns what to do when the disk that holds the `.pipe` folder `root` is full: only a remedy that frees something.
pub(crate) fn no_space(root: &Path) -> String {
    let full = "no space is left on the disk that holds the store";
    match freed_bytes(root, GcLimits::default()) {
        Ok(bytes) if bytes >= WORTH_FREEING_BYTES => format!("{full}: `pipe cache gc` frees some"),
        _ => match freed_bytes(root, GcLimits { max_size_bytes: Some(0), max_age: None }) {
            Ok(bytes) if bytes >= WORTH_FREEING_BYTES => {
                format!(
                    "{full}: `pipe cache gc --max-size SIZE` frees some, by deleting results that no recent run used"
                )
            }
            _ => format!(
                "{full}, and recent runs use everything in the store: delete other files on that disk, or move the store to a larger one"
            ),
        },
    }
}

/// A remedy that frees less is not worth naming.
const WORTH_FREEING_BYTES: u64 = 1 << 20;

fn freed_bytes(root: &Path, limits: GcLimits) -> Result<u64, RunError> {
    let wanted = wanted_keys(&Bookkeeping::to_read(root))?;
    #[expect(clippy::disallowed_methods, reason = "the age of results counts from now; no key depends on it")]
    let now = SystemTime::now();
    let plan = gc::plan(&Store::to_read(root), &limits, &wanted, now)?;
    Ok(plan.freed_bytes)
}

/// How long an unfinished download is kept, if no `max_age` is given.
const DOWNLOADS_KEPT: Duration = Duration::from_hours(30 * 24);

/// Files beside the store that no run needs.
pub struct Leftovers {
    /// Temporary files of runs that have died, and old unfinished downloads.
    pub scratch: Counted,
    /// Indexes of source folders that were not used for long, and incomplete files.
    pub indexes: Counted,
    dead: Vec<work::Dead>,
    paths: Vec<PathBuf>,
}

impl Leftovers {
    /// Finds them. An index is old if no run used it for `max_age`; without `max_age`, no index is old.
    pub fn find(root: &Path, max_age: Option<Duration>, now: SystemTime) -> Result<Self, RunError> {
        let dead = work::dead(root)?;
        let mut found = Self { scratch: Counted::default(), indexes: Counted::default(), dead, paths: Vec::new() };
        for (_, path) in list_folder(&root.join("work"))? {
            let of_dead = found.dead.iter().any(|dead| dead.folder == path);
            // A folder without a lock file is left from a run that ended but could not remove it.
            let alone = path.is_dir() && !path.with_extension("lock").exists();
            if of_dead || alone {
                found.scratch.count += 1;
                found.scratch.size_bytes += measure_files(&path)?.size_bytes;
            }
            if alone {
                found.paths.push(path);
            }
        }
        for (_, path) in list_folder(&root.join(DOWNLOADS))? {
            let age = now.duration_since(fs::metadata(&path)?.modified()?).unwrap_or_default();
            if age >= max_age.unwrap_or(DOWNLOADS_KEPT) {
                found.scratch.count += 1;
                found.scratch.size_bytes += measure_files(&path)?.size_bytes;
                found.paths.push(path);
            }
        }
        for folder in ["index", "tools"] {
            for (name, path) in list_folder(&root.join(folder))? {
                let metadata = fs::metadata(&path)?;
                let age = now.duration_since(metadata.modified()?).unwrap_or_default();
                let old = folder == "index" && max_age.is_some_and(|max_age| age >= max_age);
                if old || name.starts_with(".tmp") {
                    found.indexes.count += 1;
                    found.indexes.size_bytes += metadata.len();
                    found.paths.push(path);
                }
            }
        }
        Ok(found)
    }

    /// Removes them. A folder that a worker still writes to stays until the next call.
    pub fn remove(self) -> Result<(), RunError> {
        self.dead.into_iter().for_each(work::Dead::clear);
        for path in self.paths {
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_cache::{ActionRecord, Fields, OutputRecord};

    fn key(name: &str) -> ActionKey {
        let mut fields = Fields::default();
        fields.add(["name"], name);
        fields.key()
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn newest_results_and_those_of_the_last_runs_are_wanted() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let kept = Bookkeeping::to_update(root);
        assert_eq!(wanted_keys(&kept).expect("read"), BTreeSet::new(), "nothing has run yet");
        for pipeline in ["smoke", "other"] {
            let mut publisher = latest::Publisher::open(&kept, pipeline).expect("open");
            publisher.publish("frames", &root.join("store/x"), Some(key("latest"))).expect("published");
        }
        write(&root.join("latest/cut.log"), "12");
        for run in 0..KEPT_RUNS + 2 {
            let stage = |key: &str| {
                format!(
                    r#"{{"stage":"s","outcome":"ran","key":{key},"output":null,"duration_millis":1,"summary":[],"warnings":[],"failure":null}}"#
                )
            };
            let stages = format!("{},{}", stage(&format!("\"{}\"", key(&run.to_string()))), stage("null"));
            let summary = format!(r#"{{"pipeline":"p","run":"r","started":"","stages":[{stages}],"cancelled":false}}"#);
            // The order of the names is not that of the times.
            let path = root.join(format!("runs/{}/summary.json", 99 - run));
            write(&path, &summary);
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(run as u64);
            fs::File::options().write(true).open(&path).expect("open").file().set_modified(at).expect("touched");
        }
        write(&root.join("runs/killed/events.jsonl"), "");
        let mut expect: BTreeSet<ActionKey> = (2..KEPT_RUNS + 2).map(|run| key(&run.to_string())).collect();
        expect.insert(key("latest"));
        assert_eq!(wanted_keys(&kept).expect("read"), expect);
        let stages = stages_by_key(&kept).expect("read");
        assert_eq!(stages[&key("latest")], ["other/frames", "smoke/frames"]);
    }

    #[test]
    fn a_full_disk_has_a_remedy_that_frees_something() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let store = Store::open(root).expect("a store");
        let check = |expect: &str| {
            let help = no_space(root);
            assert!(
                help.starts_with("no space is left on the disk that holds the store") && help.contains(expect),
                "{help}"
            );
        };
        check("move the store to a larger one");
        let insert = |content: u8| {
            write(&root.join("output/a"), &char::from(content).to_string().repeat(WORTH_FREEING_BYTES as usize));
            store.insert(&root.join("output")).expect("inserted").digest()
        };
        let tree = insert(b'1');
        check("`pipe cache gc` frees some");
        let mut fields = Fields::default();
        fields.add(["name"], "old");
        let record = ActionRecord::new("frames", OutputRecord { tree, ports: BTreeMap::new() });
        store.record(fields.key(), &fields, &record).expect("recorded");
        check("`pipe cache gc --max-size SIZE` frees some");
        let kept = Bookkeeping::to_update(root);
        let mut publisher = latest::Publisher::open(&kept, "p").expect("open");
        publisher.publish("s", &root.join("store/x"), Some(fields.key())).expect("published");
        check("recent runs use everything");
        insert(b'2');
        check("`pipe cache gc` frees some");
    }

    #[test]
    fn scratch_of_the_dead_and_old_indexes_go() {
        let folder = tempfile::tempdir().expect("a folder");
        #[expect(clippy::disallowed_methods, reason = "a test; no key depends on the time")]
        let (root, now) = (folder.path(), SystemTime::now());
        let living = work::Work::new(root, "living").expect("made");
        for path in ["work/dead/0/file", "work/dead.lock", "work/left/0/file", "index/old", "index/new", "tools/.tmpAb"]
        {
            write(&root.join(path), "12345");
        }
        let day = Duration::from_hours(24);
        for path in ["downloads/old/data", "downloads/new/data"] {
            write(&root.join(path), "12345");
        }
        for old in ["index/old", "downloads/old"] {
            #[expect(clippy::disallowed_methods, reason = "a test; no key depends on the time")]
            let old = std::fs::File::open(root.join(old)).expect("open");
            old.set_modified(now - 3 * day).expect("touched");
        }
        let count = |max_age| {
            let found = Leftovers::find(root, max_age, now).expect("found");
            (found.scratch, found.indexes)
        };
        let two = Counted { count: 2, size_bytes: 10 };
        assert_eq!(count(None), (two, Counted { count: 1, size_bytes: 5 }));
        assert_eq!(count(Some(2 * day)), (Counted { count: 3, size_bytes: 15 }, two));
        Leftovers::find(root, Some(2 * day), now).expect("found").remove().expect("removed");
        let left = |folder: &str| {
            list_folder(&root.join(folder)).expect("listed").into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(left("work"), ["living", "living.lock"]);
        assert_eq!((left("index"), left("downloads")), (vec!["new".into()], vec!["new".to_owned()]));
        assert_eq!(count(Some(2 * day)), (Counted::default(), Counted::default()));
        drop(living);
    }
}
