//! [`Store`]: outputs by content, actions by key. Half of anything is never visible.
//!
//! ```text
//! store/v1/blobs/ab/cdef…            content of one file by its BLAKE3; read-only
//! store/v1/trees/ab/cdef…/tree.json  the files of one output: path, digest, size
//! store/v1/trees/ab/cdef…/files/…    the same as a folder of links, which stages and people read
//! store/v1/actions/ab/cdef….json     action key → output, summary, warnings, times; sealed, see `record.rs`
//! store/v1/actions/ab/cdef….fields   what the key was made of
//! store/v1/locks/…                   one lock an action that runs
//! store/v1/lock                      shared by runs, held alone by garbage collection; see `hold.rs`
//! store/v1/tmp/…                     what is being written
//! store/v1/damaged/<kind>/ab/cdef…   what was found damaged, see [`crate::verify`]
//! ```
//!
//! Bytes come in through a temporary file and a rename; the action record is written last. What took long to make is
//! synced before its record; what is lost of the rest when the power fails is seen by its size or its digest, and made
//! again.

use crate::record::ActionRecord;
use crate::{ActionKey, CacheError, Digest, Fields};
use fs_err as fs;
use serde::de::DeserializeOwned;
use std::fs::Permissions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

mod incoming;
mod insert;
mod tree;

pub use incoming::Incoming;
pub use tree::{Tree, TreeFile};

/// Up to so many files are synced one by one; more are synced together with the file system.
pub(crate) const SYNC_EACH_UP_TO: usize = 64;

/// What took longer to make than this is synced to the disk before it is recorded.
const SYNC_FROM_MILLIS: u64 = 500;

/// How often a lock that another process holds is tried. A system call that waits could not be cancelled.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// A folder that keeps outputs and the actions that made them. Several processes may use it at once.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) root: PathBuf,
    /// The shared lock of a store that is held, until the last clone is gone.
    pub(crate) held: Option<Arc<std::fs::File>>,
}

/// What the store has for a key.
#[derive(Debug)]
pub enum Lookup {
    /// The record, and every object that it names is there.
    Hit(Box<ActionRecord>),
    /// Nothing.
    Absent,
    /// Something that can't be used, and why; the action must run again.
    Damaged(CacheError),
}

/// Held while an action runs; no other process runs it meanwhile.
#[derive(Debug)]
pub struct ActionLock(#[expect(dead_code, reason = "closing the file releases the lock")] std::fs::File);

impl Store {
    /// Opens the store below `root` (a `.pipe` folder), making what is missing.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        let store = Self { root: root.join("store/v1"), held: None };
        for folder in ["blobs", "trees", "actions", "locks", "tmp"] {
            fs::create_dir_all(store.root.join(folder))?;
        }
        Ok(store)
    }

    /// Opens the store below `root` as it is, making nothing.
    pub fn open_existing(root: &Path) -> Result<Self, CacheError> {
        let store = Self { root: root.join("store/v1"), held: None };
        if store.root.is_dir() { Ok(store) } else { Err(CacheError::NoStore { path: store.root }) }
    }

    /// Returns what the store has for `key`, having checked that all of it is there.
    pub fn find(&self, key: ActionKey) -> Lookup {
        let kept = match self.read_kept(key) {
            Ok(Some(kept)) => kept,
            Ok(None) => return Lookup::Absent,
            Err(error) => return Lookup::Damaged(error),
        };
        let digest = kept.record.output.tree;
        let checked = match &kept.tree {
            Some(tree) if self.tree_folder(digest).join("tree.json").exists() => self.check_blobs(tree, digest),
            _ => self.check_tree(digest),
        };
        match checked {
            Ok(()) => {
                self.touch(key, &kept);
                Lookup::Hit(Box::new(kept.record))
            }
            Err(error) => Lookup::Damaged(error),
        }
    }

    /// Returns the fields that `key` was made of, if the action was recorded.
    pub fn fields(&self, key: ActionKey) -> Result<Option<Fields>, CacheError> {
        read_json(&self.action_path(key, "fields"))
    }

    /// Waits until no other process runs the action. `go_on` is called from time to time while one does, and says whether
    /// to wait further; `None` means that it did not.
    pub fn lock(&self, key: ActionKey, mut go_on: impl FnMut() -> bool) -> Result<Option<ActionLock>, CacheError> {
        loop {
            if let Some(lock) = self.try_lock(key)? {
                return Ok(Some(lock));
            }
            if !go_on() {
                return Ok(None);
            }
            std::thread::sleep(LOCK_POLL);
        }
    }

    /// Returns `None` if another process, or another action of this one, runs the action.
    pub fn try_lock(&self, key: ActionKey) -> Result<Option<ActionLock>, CacheError> {
        let path = self.root.join("locks").join(key.to_string());
        let file = fs::File::create(path)?.into_parts().0;
        match file.try_lock() {
            Ok(()) => Ok(Some(ActionLock(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Records what an action gave; from now on its key is a hit.
    pub fn record(&self, key: ActionKey, fields: &Fields, record: &ActionRecord) -> Result<(), CacheError> {
        let path = self.action_path(key, "fields");
        let bytes = serde_json::to_vec(fields).map_err(|source| CacheError::Record { path: path.clone(), source })?;
        self.write_file(&path, &bytes, Durable::Later)?;
        if record.duration_millis < SYNC_FROM_MILLIS {
            return self.write_record(key, record, Durable::Later);
        }
        self.sync()?;
        self.write_record(key, record, Durable::Now)
    }

    /// Returns the files of an output.
    pub fn tree(&self, digest: Digest) -> Result<Tree, CacheError> {
        let tree: Tree = read_json(&self.tree_folder(digest).join("tree.json"))?.ok_or(CacheError::Lost { digest })?;
        tree.check()?;
        Ok(tree)
    }

    /// Returns the folder of links through which an output is read.
    pub fn view(&self, tree: Digest) -> PathBuf {
        self.tree_folder(tree).join("files")
    }

    pub(crate) fn check_tree(&self, digest: Digest) -> Result<(), CacheError> {
        self.check_blobs(&self.tree(digest)?, digest)
    }

    fn check_blobs(&self, tree: &Tree, digest: Digest) -> Result<(), CacheError> {
        if tree.digest() != digest {
            return Err(CacheError::Lost { digest });
        }
        for file in &tree.files {
            let metadata = fs::metadata(self.object("blobs", file.digest));
            if !metadata.is_ok_and(|metadata| metadata.len() == file.size_bytes) {
                return Err(CacheError::Lost { digest: file.digest });
            }
        }
        Ok(())
    }

    pub(crate) fn write_file(&self, path: &Path, bytes: &[u8], durable: Durable) -> Result<(), CacheError> {
        let mut file = self.temporary_file()?;
        file.write_all(bytes)?;
        if durable == Durable::Now {
            file.as_file().sync_all()?;
        }
        let temporary = file.into_temp_path();
        rename_into(&temporary, path)?;
        // It is where it belongs; there is nothing left to remove.
        let _ = temporary.keep();
        Ok(())
    }

    /// Makes a file that others may read, as far as the user's umask lets them: a store may be shared.
    pub(crate) fn temporary_file(&self) -> std::io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(self.root.join("tmp"))
    }

    fn temporary_folder(&self) -> std::io::Result<tempfile::TempDir> {
        tempfile::Builder::new().permissions(Permissions::from_mode(0o777)).tempdir_in(self.root.join("tmp"))
    }

    pub(crate) fn action_path(&self, key: ActionKey, extension: &str) -> PathBuf {
        self.root.join(format!("{}.{extension}", object_path("actions", &key.hex())))
    }

    pub(crate) fn tree_folder(&self, digest: Digest) -> PathBuf {
        self.object("trees", digest)
    }

    pub(crate) fn object(&self, kind: &str, digest: Digest) -> PathBuf {
        self.root.join(object_path(kind, &digest.hex()))
    }
}

/// When a file must have reached the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Before it is seen.
    Now,
    /// When the system gets to it.
    Later,
}

/// Renames a file, and makes the folder above its new place only if that is missing.
fn rename_into(from: &Path, to: &Path) -> std::io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(parent(to))?;
            fs::rename(from, to)
        }
        other => other,
    }
}

pub(crate) fn object_path(kind: &str, hex: &str) -> String {
    let (first, rest) = hex.split_at(2);
    [kind, "/", first, "/", rest].concat()
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Returns `None` where there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CacheError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let record = serde_json::from_slice(&bytes);
    record.map(Some).map_err(|source| CacheError::Record { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OutputRecord;
    use crate::testing::Space;
    use std::collections::BTreeMap;

    #[test]
    fn what_is_recorded_is_found_and_read_through_links() {
        let space = Space::new();
        let tree = space.insert(&[("a/b.txt", "one"), ("c.txt", "two")]);
        let mut fields = Fields::default();
        fields.add(["name"], "x");
        let key = fields.key();
        assert!(matches!(space.store.find(key), Lookup::Absent));
        let record = ActionRecord {
            kind: "k".into(),
            output: OutputRecord { tree: tree.digest(), ports: [("all".to_owned(), tree.digest())].into() },
            parts: BTreeMap::new(),
            state: None,
            environment: BTreeMap::new(),
            figures: BTreeMap::new(),
            summary: vec![],
            warnings: vec![],
            duration_millis: 1,
            peak_memory_bytes: None,
            ended_unix_secs: 2,
        };
        space.store.record(key, &fields, &record).expect("recorded");
        let Lookup::Hit(found) = space.store.find(key) else { panic!("a hit") };
        assert_eq!(*found, record);
        assert_eq!(space.store.fields(key).expect("read"), Some(fields));
        let view = space.store.view(tree.digest());
        assert_eq!(fs::read_to_string(view.join("a/b.txt")).expect("read"), "one");
        assert_eq!(fs::read_to_string(view.join("c.txt")).expect("read"), "two");
    }

    #[test]
    fn equal_content_is_one_tree_and_a_part_has_its_own_digest() {
        let space = Space::new();
        let one = space.insert(&[("a/b.txt", "one"), ("c.txt", "two")]);
        let two = space.insert(&[("a/b.txt", "one"), ("c.txt", "three")]);
        assert_ne!(one.digest(), two.digest());
        let part = |tree: &Tree| tree.part("a").expect("a part").digest();
        assert_eq!(part(&one), part(&two));
        assert!(matches!(one.part("absent"), Err(CacheError::MissingOutput { .. })));
        assert_eq!(space.insert(&[("a/b.txt", "one"), ("c.txt", "two")]), one);
    }

    #[test]
    fn a_lost_object_is_no_hit_and_comes_back_with_the_next_run() {
        let space = Space::new();
        let key = space.action("x", &[("a.txt", "one")]);
        fs::remove_file(space.store.blob(Digest::of(b"one"))).expect("removed");
        assert!(matches!(space.store.find(key), Lookup::Damaged(CacheError::Lost { .. })));
        space.insert(&[("a.txt", "one")]);
        assert!(matches!(space.store.find(key), Lookup::Hit(_)));
    }

    #[test]
    fn a_record_cut_short_is_damaged() {
        let space = Space::new();
        let key = space.action("x", &[("a.txt", "one")]);
        fs::write(space.store.action_path(key, "json"), "{").expect("written");
        assert!(matches!(space.store.find(key), Lookup::Damaged(CacheError::Record { .. })));
    }

    #[test]
    fn others_may_read_what_is_kept() {
        let space = Space::new();
        let key = space.action("x", &[("a.txt", "one")]);
        let mask = fs::metadata(space.folder.path().join("output")).expect("a folder").permissions().mode();
        let check = |path: PathBuf, mode: u32| {
            let found = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
            assert_eq!(found, mode & mask, "{}", path.display());
        };
        check(space.store.action_path(key, "json"), 0o666);
        let Lookup::Hit(record) = space.store.find(key) else { panic!("a hit") };
        check(space.store.tree_folder(record.output.tree), 0o777);
        check(space.store.blob(Digest::of(b"one")), 0o444);
    }

    #[test]
    fn a_link_is_no_output() {
        let space = Space::new();
        let output = space.folder.path().join("output");
        fs::create_dir_all(&output).expect("a folder");
        fs::os::unix::fs::symlink("/etc/hostname", output.join("a")).expect("a link");
        assert!(matches!(space.store.insert(&output), Err(CacheError::OddFile { .. })));
    }

    #[test]
    fn an_empty_output_is_an_output() {
        let space = Space::new();
        let tree = space.insert(&[]);
        assert!(space.store.view(tree.digest()).is_dir());
    }
}
