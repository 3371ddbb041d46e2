//! [`Step`]: deletes one object. After each step, the store contains only complete results.

use crate::inventory::if_exists;
use crate::store::Store;
use crate::{ActionKey, CacheError, Digest};
use fs_err as fs;
use std::path::{Path, PathBuf};

/// One object to delete. Steps are carried out in the order of these variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Record(ActionKey),
    Fields(ActionKey),
    Tree(Digest),
    Blob(Digest),
    Leftover(PathBuf),
    Lock(PathBuf),
}

impl Step {
    /// Returns the position in the order: an object is deleted after the objects that need it.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Record(_) => 0,
            Self::Fields(_) => 1,
            Self::Tree(_) => 2,
            Self::Blob(_) => 3,
            Self::Leftover(_) => 4,
            Self::Lock(_) => 5,
        }
    }

    /// Deletes the object. If this is interrupted, the object is either complete or gone.
    pub(super) fn carry_out(&self, store: &Store) -> Result<(), CacheError> {
        match self {
            Self::Record(key) => if_exists(fs::remove_file(store.action_path(*key, "json")))?,
            Self::Fields(key) => if_exists(fs::remove_file(store.action_path(*key, "fields")))?,
            Self::Blob(digest) => remove(&store.object("blobs", *digest))?,
            Self::Tree(digest) => {
                // A folder is deleted file by file, so it is moved to `tmp` first, where an incomplete folder does no harm.
                let aside = store.root.join("tmp").join(format!("tree-{digest}"));
                remove(&aside)?;
                if_exists(fs::rename(store.tree_folder(*digest), &aside))?;
                remove(&aside)?
            }
            Self::Leftover(path) => remove(path)?,
            Self::Lock(path) => match if_exists(fs::File::open(path))? {
                // A lock that is held belongs to a process that does not hold the store; leave it.
                Some(file) if file.file().try_lock().is_ok() => if_exists(fs::remove_file(path))?,
                _ => None,
            },
        };
        Ok(())
    }
}

/// Deletes a file or a folder, if it exists.
fn remove(path: &Path) -> std::io::Result<Option<()>> {
    match if_exists(fs::symlink_metadata(path))? {
        Some(metadata) if metadata.is_dir() => if_exists(fs::remove_dir_all(path)),
        Some(_) => if_exists(fs::remove_file(path)),
        None => Ok(None),
    }
}
