//! [`Step`]: one thing that is removed, and how. Each leaves a store that holds whole results only.

use crate::inventory::there;
use crate::store::Store;
use crate::{ActionKey, CacheError, Digest};
use fs_err as fs;
use std::path::{Path, PathBuf};

/// One thing that is removed. They come in the order of this list.
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
    /// What others need goes after those others.
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

    /// Removes one thing; it is either all there or gone.
    pub(super) fn carry_out(&self, store: &Store) -> Result<(), CacheError> {
        match self {
            Self::Record(key) => there(fs::remove_file(store.action_path(*key, "json")))?,
            Self::Fields(key) => there(fs::remove_file(store.action_path(*key, "fields")))?,
            Self::Blob(digest) => remove(&store.object("blobs", *digest))?,
            Self::Tree(digest) => {
                // A folder goes file by file. In `tmp`, nobody takes half of it for a tree.
                let aside = store.root.join("tmp").join(format!("tree-{digest}"));
                remove(&aside)?;
                there(fs::rename(store.tree_folder(*digest), &aside))?;
                remove(&aside)?
            }
            Self::Leftover(path) => remove(path)?,
            Self::Lock(path) => match there(fs::File::open(path))? {
                // One that is held is in use by a process that does not hold the store; that is not for us to judge.
                Some(file) if file.file().try_lock().is_ok() => there(fs::remove_file(path))?,
                _ => None,
            },
        };
        Ok(())
    }
}

/// Removes a file or a folder, if there is one.
fn remove(path: &Path) -> std::io::Result<Option<()>> {
    match there(fs::symlink_metadata(path))? {
        Some(metadata) if metadata.is_dir() => there(fs::remove_dir_all(path)),
        Some(_) => there(fs::remove_file(path)),
        None => Ok(None),
    }
}
