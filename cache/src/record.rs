//! [`ActionRecord`]: what an action gave. On disk it is a line of JSON, a line with the files of a small output, and a line
//! with a seal over the key and all that stands before it.
//!
//! The files are those of the output's tree: with them a hit needs no second file to be read.
//!
//! Blobs, trees and fields are named by a digest of what they hold; a record is named by its action's key, and a flipped
//! bit in it could pass for another result. The seal finds it. A record without one is of the time before seals.

use crate::store::{Durable, Store, Tree};
use crate::{ActionKey, CacheError, Digest};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Hits of a younger record do not touch it: a hit is then one read more, and a write a day.
const TOUCH_AFTER: Duration = Duration::from_hours(24);

/// Larger outputs are listed by their tree alone.
const MAX_FILES: usize = 16;

/// What an action gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionRecord {
    /// The stage kind.
    pub kind: String,
    /// What it wrote.
    pub output: OutputRecord,
    /// The parts it was put together from, by name, if it is made in parts; each is an action too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, ActionKey>,
    /// For a link of a chain: the state that the next link starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateRecord>,
    /// What the bits of a floating-point result depend on besides its key, by name: processor, threads, device. Empty for
    /// exact results, which do not depend on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Numbers that the stage reported, such as `loss` and `top1`. All are finite.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
    /// What it said when it was done.
    pub summary: Vec<String>,
    /// What it warned of.
    pub warnings: Vec<String>,
    /// How long it ran.
    pub duration_millis: u64,
    /// The most memory its worker held, where known.
    pub peak_memory_bytes: Option<u64>,
    /// When it ended, in seconds since 1970.
    pub ended_unix_secs: u64,
}

/// What an action wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRecord {
    /// Of the whole output folder.
    pub tree: Digest,
    /// Of each port, which may be a part of the folder.
    pub ports: BTreeMap<String, Digest>,
}

/// The state that a link of a chain left: it is not part of the link's output, and the link is a hit without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRecord {
    /// Digest of the state's files. The key of the next link contains it, so it is known even after the state is dropped.
    pub tree: Digest,
    /// Whether the store keeps the files. Garbage collection removes the files of a state that is not kept.
    pub kept: bool,
}

impl ActionRecord {
    /// Returns the trees that the store keeps for this record: the output and the state, if that is kept.
    pub fn trees(&self) -> impl Iterator<Item = Digest> {
        let state = self.state.filter(|state| state.kept).map(|state| state.tree);
        std::iter::once(self.output.tree).chain(state)
    }
}

/// A record as it was read.
pub(crate) struct Kept {
    pub(crate) record: ActionRecord,
    /// The files of its output, where they are few.
    pub(crate) tree: Option<Tree>,
    /// When it was last used.
    used: Option<SystemTime>,
}

impl Store {
    /// Returns the record of `key`, or `None` where there is none.
    pub(crate) fn read_record(&self, key: ActionKey) -> Result<Option<ActionRecord>, CacheError> {
        Ok(self.read_kept(key)?.map(|kept| kept.record))
    }

    /// Returns the record of `key` with the other content of its file.
    pub(crate) fn read_kept(&self, key: ActionKey) -> Result<Option<Kept>, CacheError> {
        let path = self.action_path(key, "json");
        let mut file = match fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let metadata = file.metadata()?;
        let mut bytes = vec![0; metadata.len() as usize];
        file.read_exact(&mut bytes)?;
        let (record, tree) = decode(&path, key, &bytes)?;
        Ok(Some(Kept { record, tree, used: metadata.modified().ok() }))
    }

    pub(crate) fn write_record(
        &self,
        key: ActionKey,
        record: &ActionRecord,
        durable: Durable,
    ) -> Result<(), CacheError> {
        let path = self.action_path(key, "json");
        let failed = |source| CacheError::Record { path: path.clone(), source };
        let mut bytes = serde_json::to_vec(record).map_err(failed)?;
        let tree = self.tree(record.output.tree)?;
        if tree.files.len() <= MAX_FILES {
            bytes.push(b'\n');
            serde_json::to_writer(&mut bytes, &tree).map_err(failed)?;
        }
        let seal = seal(key, &bytes);
        bytes.extend(format!("\n\"{seal}\"\n").into_bytes());
        self.write_file(&path, &bytes, durable)
    }

    /// Returns whether the state of a link is kept and complete.
    pub fn has_state(&self, record: &ActionRecord) -> bool {
        record.state.is_some_and(|state| state.kept && self.check_tree(state.tree).is_ok())
    }

    /// Marks the state of a link as kept or as not needed any more. Garbage collection removes the files of the latter.
    pub fn keep_state(&self, key: ActionKey, kept: bool) -> Result<(), CacheError> {
        let Some(mut record) = self.read_record(key)? else { return Ok(()) };
        let Some(state) = record.state.as_mut().filter(|state| state.kept != kept) else { return Ok(()) };
        state.kept = kept;
        self.write_record(key, &record, Durable::Later)
    }

    /// Notes that a record is used, as its file's time. Only runs use results; others look at them.
    pub(crate) fn touch(&self, key: ActionKey, kept: &Kept) {
        if self.held.is_some() {
            touch_if_old(&self.action_path(key, "json"), kept.used);
        }
    }
}

/// Notes that a file is used, if that was not noted lately.
pub(crate) fn touch(path: &Path) {
    touch_if_old(path, fs::metadata(path).and_then(|metadata| metadata.modified()).ok());
}

fn touch_if_old(path: &Path, used: Option<SystemTime>) {
    if used.is_some_and(|used| used.elapsed().is_ok_and(|age| age > TOUCH_AFTER)) {
        // The time is a hint for later; what can't be touched is as good.
        #[expect(
            clippy::disallowed_methods,
            reason = "the time of last use decides what `gc` deletes; no key depends on it"
        )]
        let _ = fs::File::open(path).and_then(|file| file.file().set_modified(SystemTime::now()));
    }
}

fn decode(path: &Path, key: ActionKey, bytes: &[u8]) -> Result<(ActionRecord, Option<Tree>), CacheError> {
    let failed = |source| CacheError::Record { path: path.into(), source };
    let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    let (before, last) = match lines.as_slice() {
        [_, .., last] => (&bytes[..bytes.len() - last.len() - 1], Some(*last)),
        _ => (bytes, None), // of the time before seals
    };
    if last.is_some_and(|last| last != format!("\"{}\"\n", seal(key, before)).as_bytes()) {
        // A parse error is more specific than "altered".
        serde_json::from_slice::<ActionRecord>(lines[0]).map_err(failed)?;
        return Err(CacheError::Altered { path: path.into() });
    }
    let record = serde_json::from_slice(lines.first().unwrap_or(&before)).map_err(failed)?;
    let tree = match lines.as_slice() {
        [_, files, _] => Some(serde_json::from_slice(files).map_err(failed)?),
        _ => None,
    };
    Ok((record, tree))
}

fn seal(key: ActionKey, before: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"pipe action record v1");
    hasher.update(key.hex().as_bytes());
    hasher.update(before);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Space;
    use crate::{ActionLock, Lookup};

    #[test]
    fn no_flipped_bit_of_a_record_goes_unseen() {
        let space = Space::new();
        let key = space.action("x", &[("a.txt", "one")]);
        let path = space.store.action_path(key, "json");
        let right = fs::read(&path).expect("read");
        for position in 0..right.len() {
            let mut wrong = right.clone();
            wrong[position] ^= 1;
            fs::write(&path, wrong).expect("written");
            assert!(matches!(space.store.find(key), Lookup::Damaged(_)), "byte {position}");
        }
        let end = right.iter().position(|&byte| byte == b'\n').expect("two lines");
        fs::write(&path, &right[..end]).expect("written");
        assert!(matches!(space.store.find(key), Lookup::Hit(_)), "a record from before there were seals");
    }

    #[test]
    fn a_record_under_another_key_is_no_result_of_that_key() {
        let space = Space::new();
        let (one, two) = (space.action("x", &[("a.txt", "one")]), space.action("y", &[("a.txt", "two")]));
        fs::copy(space.store.action_path(one, "json"), space.store.action_path(two, "json")).expect("copied");
        assert!(matches!(space.store.find(two), Lookup::Damaged(CacheError::Altered { .. })));
    }

    #[test]
    fn a_hit_of_a_run_touches_an_old_record_and_no_other_does() {
        let space = Space::new();
        let key = space.action("x", &[("a.txt", "one")]);
        #[expect(clippy::disallowed_methods, reason = "a test; no key depends on the time")]
        let days = |days: u64| SystemTime::now() - Duration::from_hours(days * 24);
        let used =
            || fs::metadata(space.store.action_path(key, "json")).and_then(|file| file.modified()).expect("a time");
        space.used(key, days(3));
        space.store.find(key);
        assert!(used() < days(2), "a lookup does not count as a use");
        let held = space.store.clone().hold(|| ()).expect("held");
        held.find(key);
        assert!(used() > days(1));
        #[expect(clippy::disallowed_methods, reason = "a test; no key depends on the time")]
        let soon = SystemTime::now() - Duration::from_mins(10);
        space.used(key, soon);
        held.find(key);
        assert_eq!(used(), soon, "a write a day is enough");
        let lock: Option<ActionLock> = held.lock(key, || false).expect("a lock");
        assert!(lock.is_some(), "an action's lock is another one");
    }
}
