//! Reads and writes action records.
//!
//! A record file has up to three lines: the record as JSON; the files of the output as JSON, if they are few, so that a hit reads no
//! second file; and a seal, which is a digest of the key and of the lines before.
//!
//! Blobs, trees and fields are named by the digest of their content. A record is named by its action's key instead, so a flipped
//! bit could turn it into another valid result: the seal detects that. Records without a seal were written by older versions.

use super::{Durability, Store, Tree};
use crate::{ActionKey, ActionRecord, CacheError, Digest};
use fs_err as fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The time of last use is updated only if it is older than this, so that most hits write nothing.
const TOUCH_AFTER: Duration = Duration::from_hours(24);

/// Maximum number of files in the second line.
const MAX_FILES: usize = 16;

/// The content of a record file.
pub(crate) struct StoredRecord {
    pub(crate) record: ActionRecord,
    /// The files of the output, if they are few.
    pub(crate) tree: Option<Tree>,
    last_use: Option<SystemTime>,
}

impl Store {
    /// Returns the record of `key`, or `None` if there is none.
    pub(crate) fn read_record(&self, key: ActionKey) -> Result<Option<ActionRecord>, CacheError> {
        Ok(self.read_stored_record(key)?.map(|stored| stored.record))
    }

    /// Returns the record file of `key`, or `None` if there is none.
    pub(crate) fn read_stored_record(&self, key: ActionKey) -> Result<Option<StoredRecord>, CacheError> {
        let path = self.action_path(key, "json");
        let mut file = match fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let metadata = file.metadata()?;
        let mut bytes = vec![0; metadata.len() as usize];
        file.read_exact(&mut bytes)?;
        let (record, tree) = decode(&path, key, &bytes)?;
        Ok(Some(StoredRecord { record, tree, last_use: metadata.modified().ok() }))
    }

    pub(crate) fn write_record(
        &self,
        key: ActionKey,
        record: &ActionRecord,
        durability: Durability,
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
        self.write_file(&path, &bytes, durability)
    }

    /// Returns whether the state of a link is kept and complete.
    pub fn has_state(&self, record: &ActionRecord) -> bool {
        record.state.is_some_and(|state| state.kept && self.check_tree(state.tree).is_ok())
    }

    /// Marks the state of a link as kept, or as no longer needed. Garbage collection deletes the files of the latter.
    pub fn keep_state(&self, key: ActionKey, kept: bool) -> Result<(), CacheError> {
        let Some(mut record) = self.read_record(key)? else { return Ok(()) };
        let Some(state) = record.state.as_mut().filter(|state| state.kept != kept) else { return Ok(()) };
        state.kept = kept;
        self.write_record(key, &record, Durability::Later)
    }

    /// Marks a record as used, by the time of its file. Does so only for a run, which holds the store.
    pub(crate) fn touch_record(&self, key: ActionKey, stored: &StoredRecord) {
        if self.held.is_some() {
            touch_if_old(&self.action_path(key, "json"), stored.last_use);
        }
    }
}

/// Marks a file as used, by its modification time, unless that was done recently.
pub(crate) fn touch(path: &Path) {
    touch_if_old(path, fs::metadata(path).and_then(|metadata| metadata.modified()).ok());
}

fn touch_if_old(path: &Path, last_use: Option<SystemTime>) {
    if last_use.is_some_and(|last_use| last_use.elapsed().is_ok_and(|age| age > TOUCH_AFTER)) {
        // The time is only a hint for garbage collection, so failing to set it is not an error.
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
        _ => (bytes, None), // written by a version without seals
    };
    if last.is_some_and(|last| last != format!("\"{}\"\n", seal(key, before)).as_bytes()) {
        // If the JSON can't be read either, that error is more specific.
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
    use crate::testing::TestStore;
    use crate::{ActionLock, Lookup};

    #[test]
    fn any_flipped_bit_of_a_record_is_detected() {
        let test = TestStore::new();
        let key = test.action("x", &[("a.txt", "one")]);
        let path = test.store.action_path(key, "json");
        let right = fs::read(&path).expect("read");
        for position in 0..right.len() {
            let mut wrong = right.clone();
            wrong[position] ^= 1;
            fs::write(&path, wrong).expect("written");
            assert!(matches!(test.store.find(key), Lookup::Damaged(_)), "byte {position}");
        }
        let end = right.iter().position(|&byte| byte == b'\n').expect("two lines");
        fs::write(&path, &right[..end]).expect("written");
        assert!(matches!(test.store.find(key), Lookup::Hit(_)), "a record without a seal");
    }

    #[test]
    fn a_record_under_another_key_is_damaged() {
        let test = TestStore::new();
        let (one, two) = (test.action("x", &[("a.txt", "one")]), test.action("y", &[("a.txt", "two")]));
        fs::copy(test.store.action_path(one, "json"), test.store.action_path(two, "json")).expect("copied");
        assert!(matches!(test.store.find(two), Lookup::Damaged(CacheError::Altered { .. })));
    }

    #[test]
    fn only_a_run_updates_the_last_use_and_only_once_a_day() {
        let test = TestStore::new();
        let key = test.action("x", &[("a.txt", "one")]);
        #[expect(clippy::disallowed_methods, reason = "a test; no key depends on the time")]
        let days = |days: u64| SystemTime::now() - Duration::from_hours(days * 24);
        let last_use =
            || fs::metadata(test.store.action_path(key, "json")).and_then(|file| file.modified()).expect("a time");
        test.set_last_use(key, days(3));
        test.store.find(key);
        assert!(last_use() < days(2), "looking is not use");
        let held = test.store.clone().hold(|| ()).expect("held");
        held.find(key);
        assert!(last_use() > days(1));
        #[expect(clippy::disallowed_methods, reason = "a test; no key depends on the time")]
        let recently = SystemTime::now() - Duration::from_mins(10);
        test.set_last_use(key, recently);
        held.find(key);
        assert_eq!(last_use(), recently, "one write a day is enough");
        let lock: Option<ActionLock> = held.lock(key, || false).expect("a lock");
        assert!(lock.is_some(), "an action's lock is a separate lock");
    }
}
