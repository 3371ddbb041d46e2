//! [`Store`]: keeps outputs by content and results of actions by key. Readers never see incomplete objects.
//!
//! ```text
//! store/v1/blobs/ab/cdef…            content of one file by its BLAKE3; read-only
//! store/v1/trees/ab/cdef…/tree.json  the files of one output: path, digest, size
//! store/v1/trees/ab/cdef…/files/…    the same files as links to blobs, for stages and people
//! store/v1/actions/ab/cdef….json     action key → output, summary, warnings, times; see `store/records.rs`
//! store/v1/actions/ab/cdef….fields   the fields of the key
//! store/v1/locks/…                   one lock file per running action
//! store/v1/lock                      locked shared by runs, exclusively by garbage collection; see `hold.rs`
//! store/v1/tmp/…                     files that are being written
//! store/v1/damaged/<kind>/ab/cdef…   damaged objects; see [`crate::verify`]
//! ```
//!
//! Every object is written to a temporary file and renamed; the action record is written last. Results that took long to make are
//! synced before their record. If the power fails, other objects may be lost: their size or digest reveals that, and the action
//! runs again.

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
mod records;
mod tree;

pub use incoming::Incoming;
pub(crate) use records::touch;
pub use tree::{Tree, TreeFile};

/// Maximum number of files to sync one by one; if there are more, the whole file system is synced.
pub(crate) const SYNC_EACH_UP_TO: usize = 64;

/// Results that took longer than this to make are synced to the disk before they are recorded.
const SYNC_FROM_MILLIS: u64 = 500;

/// Interval between attempts to take a lock that another process holds. A blocking system call could not be cancelled.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// A folder that contains outputs and the results of actions. Several processes may use it at once.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) root: PathBuf,
    /// The shared lock of the store, if it is held; released when the last clone is dropped.
    pub(crate) held: Option<Arc<std::fs::File>>,
}

/// The result of looking up a key.
#[derive(Debug)]
pub enum Lookup {
    /// A record whose objects are all in the store.
    Hit(Box<ActionRecord>),
    /// No record.
    Absent,
    /// A result that can't be used, and the reason. The action must run again.
    Damaged(CacheError),
}

/// The lock of an action, held while it runs.
#[derive(Debug)]
pub struct ActionLock(#[expect(dead_code, reason = "closing the file releases the lock")] std::fs::File);

impl Store {
    /// Opens the store below `root` (a `.pipe` folder), and creates missing folders.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        let store = Self { root: root.join("store/v1"), held: None };
        for folder in ["blobs", "trees", "actions", "locks", "tmp"] {
            match fs::create_dir_all(store.root.join(folder)) {
                // The results of an existing store can be used by someone who may not write to it.
                Err(error) if store.root.is_dir() && is_read_only(error.kind()) => break,
                other => other?,
            }
        }
        Ok(store)
    }

    /// Opens an existing store below `root`.
    pub fn open_existing(root: &Path) -> Result<Self, CacheError> {
        let store = Self { root: root.join("store/v1"), held: None };
        if store.root.is_dir() { Ok(store) } else { Err(CacheError::NoStore { root: root.to_owned() }) }
    }

    /// Returns the store below `root` for a command that only reads. Creates nothing: a missing store has no results.
    pub fn to_read(root: &Path) -> Self {
        Self { root: root.join("store/v1"), held: None }
    }

    /// Looks up `key`, and checks that all objects of the result are in the store.
    pub fn find(&self, key: ActionKey) -> Lookup {
        let stored = match self.read_stored_record(key) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Lookup::Absent,
            Err(error) => return Lookup::Damaged(error),
        };
        let digest = stored.record.output.tree;
        let checked = match &stored.tree {
            Some(tree) if self.tree_folder(digest).join("tree.json").exists() => self.check_blobs(tree, digest),
            _ => self.check_tree(digest),
        };
        match checked {
            Ok(()) => {
                self.touch_record(key, &stored);
                Lookup::Hit(Box::new(stored.record))
            }
            Err(error) => Lookup::Damaged(error),
        }
    }

    /// Returns the fields of `key`, if the action was recorded.
    pub fn fields(&self, key: ActionKey) -> Result<Option<Fields>, CacheError> {
        read_json(&self.action_path(key, "fields"))
    }

    /// Waits until no other process runs the action, and locks it. Calls `keep_waiting` repeatedly in the meantime, and returns
    /// `None` once that returns false.
    pub fn lock(
        &self,
        key: ActionKey,
        mut keep_waiting: impl FnMut() -> bool,
    ) -> Result<Option<ActionLock>, CacheError> {
        loop {
            if let Some(lock) = self.try_lock(key)? {
                return Ok(Some(lock));
            }
            if !keep_waiting() {
                return Ok(None);
            }
            std::thread::sleep(LOCK_POLL);
        }
    }

    /// Locks an action. Returns `None` if another process, or another thread of this one, holds the lock.
    pub fn try_lock(&self, key: ActionKey) -> Result<Option<ActionLock>, CacheError> {
        let path = self.root.join("locks").join(key.to_string());
        let file = fs::File::create(path)?.into_parts().0;
        match file.try_lock() {
            Ok(()) => Ok(Some(ActionLock(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Records the result of an action, whose key is a hit from now on.
    pub fn record(&self, key: ActionKey, fields: &Fields, record: &ActionRecord) -> Result<(), CacheError> {
        let path = self.action_path(key, "fields");
        let bytes = serde_json::to_vec(fields).map_err(|source| CacheError::Record { path: path.clone(), source })?;
        self.write_file(&path, &bytes, Durability::Later)?;
        if record.duration_millis < SYNC_FROM_MILLIS {
            return self.write_record(key, record, Durability::Later);
        }
        self.sync()?;
        self.write_record(key, record, Durability::Now)
    }

    /// Returns the files of an output.
    pub fn tree(&self, digest: Digest) -> Result<Tree, CacheError> {
        let tree: Tree = read_json(&self.tree_folder(digest).join("tree.json"))?.ok_or(CacheError::Lost { digest })?;
        tree.check()?;
        Ok(tree)
    }

    /// Returns the folder of links through which stages and people read an output.
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

    pub(crate) fn write_file(&self, path: &Path, bytes: &[u8], durability: Durability) -> Result<(), CacheError> {
        let mut file = self.temporary_file()?;
        file.write_all(bytes)?;
        if durability == Durability::Now {
            file.as_file().sync_all()?;
        }
        let temporary = file.into_temp_path();
        rename_into(&temporary, path)?;
        // The file was renamed, so there is no temporary file to delete.
        let _ = temporary.keep();
        Ok(())
    }

    /// Creates a temporary file with the permissions of the user's umask: several users may share a store.
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

/// When a file must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Before the function returns.
    Now,
    /// When the operating system writes it.
    Later,
}

/// Renames a file, and creates the folder of its new path only if it is missing.
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

pub(crate) fn is_read_only(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied)
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Returns `None` if the file does not exist.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CacheError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let record = serde_json::from_slice(&bytes);
    record.map(Some).map_err(|source| CacheError::Record { path: path.into(), source })
}

#[cfg(test)]
mod tests;
