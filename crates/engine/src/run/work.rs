//! [`Work`]: temporary files of one run, which are removed with it.

use crate::error::RunError;
use fs_err as fs;
use std::path::{Path, PathBuf};

/// Temporary files of one run. The folder is locked while the run lives, so that other runs do not remove it.
pub(crate) struct Work {
    folder: PathBuf,
    _lock: std::fs::File,
}

impl Work {
    /// Creates the folder of `run`, and removes the folders of runs that have died.
    pub(crate) fn new(root: &Path, run: &str) -> Result<Self, RunError> {
        let all = root.join("work");
        fs::create_dir_all(&all)?;
        dead(root)?.into_iter().for_each(Dead::clear);
        // The lock is created before the folder, so that no other run takes the folder for that of a dead run.
        let folder = all.join(run);
        let lock = fs::File::create(folder.with_extension("lock"))?.into_parts().0;
        lock.lock()?;
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, _lock: lock })
    }

    /// Returns the record folder of a run that leaves no record.
    pub(super) fn record(&self) -> PathBuf {
        self.folder.join("record")
    }

    /// Creates an empty folder for a stage, and returns its absolute path.
    pub(super) fn folder(&self, stage: usize) -> Result<PathBuf, RunError> {
        let folder = self.folder.join(stage.to_string());
        fs::create_dir_all(&folder)?;
        Ok(std::path::absolute(folder)?)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // The next run removes what can't be removed now.
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(self.folder.with_extension("lock"));
    }
}

/// Temporary files of a run that has died. They are locked, so that no other process removes them at the same time.
pub(crate) struct Dead {
    pub(crate) folder: PathBuf,
    _lock: fs::File,
}

/// Returns the temporary files of all runs that have died.
pub(crate) fn dead(root: &Path) -> Result<Vec<Dead>, RunError> {
    let mut dead = Vec::new();
    for (_, path) in pipe_cache::list_folder(&root.join("work"))? {
        if path.extension().is_some_and(|extension| extension == "lock")
            && let Ok(lock) = fs::File::open(&path)
            && lock.file().try_lock().is_ok()
        {
            dead.push(Dead { folder: path.with_extension(""), _lock: lock });
        }
    }
    Ok(dead)
}

impl Dead {
    pub(crate) fn clear(self) {
        // A worker of that run may still be ending. A folder that can't be removed now keeps its lock file, and the next run
        // tries again.
        if !self.folder.exists() || fs::remove_dir_all(&self.folder).is_ok() {
            let _ = fs::remove_file(self.folder.with_extension("lock"));
        }
    }
}
