//! [`Work`]: scratch of one run, which goes away with it.

use crate::error::RunError;
use fs_err as fs;
use std::path::{Path, PathBuf};

/// Scratch of one run. It is locked while the run lives, so that later runs know what they may clear.
pub(crate) struct Work {
    folder: PathBuf,
    _lock: std::fs::File,
}

impl Work {
    /// Makes the scratch folder of `run`, and clears those of runs that are dead.
    pub(crate) fn new(root: &Path, run: &str) -> Result<Self, RunError> {
        let all = root.join("work");
        fs::create_dir_all(&all)?;
        dead(root)?.into_iter().for_each(Dead::clear);
        // The lock comes before the folder, so that nobody takes a folder that is being made for a dead one.
        let folder = all.join(run);
        let lock = fs::File::create(folder.with_extension("lock"))?.into_parts().0;
        lock.lock()?;
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, _lock: lock })
    }

    /// Returns where a run is recorded that leaves no record.
    pub(super) fn record(&self) -> PathBuf {
        self.folder.join("record")
    }

    /// Returns an empty folder for a stage, as an absolute path.
    pub(super) fn folder(&self, stage: usize) -> Result<PathBuf, RunError> {
        let folder = self.folder.join(stage.to_string());
        fs::create_dir_all(&folder)?;
        Ok(std::path::absolute(folder)?)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // The next run clears what can't be removed now.
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(self.folder.with_extension("lock"));
    }
}

/// Scratch of a run that is gone. Nobody else clears it meanwhile.
pub(crate) struct Dead {
    pub(crate) folder: PathBuf,
    _lock: fs::File,
}

/// Returns the scratch of all runs that are gone.
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
        // Its owner is gone, but a worker of its may just be dying: what can't be removed now keeps its lock file, and is
        // tried again by the next run.
        if !self.folder.exists() || fs::remove_dir_all(&self.folder).is_ok() {
            let _ = fs::remove_file(self.folder.with_extension("lock"));
        }
    }
}
