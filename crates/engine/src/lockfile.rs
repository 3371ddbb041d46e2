//! [`LockFile`]: which results a pipeline gave, in a text file beside it that can be committed.
//!
//! ```text
//! # Written by `pipe run`; `pipe run --locked` fails where a result differs.
//! eval   4f2a…  9c01…      stage, action key, digest of its output
//! ```

use crate::record::RunSummary;
use fs_err as fs;
use pipe_cache::{ActionKey, Digest};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

const HEADER: &str = "# Written by `pipe run`; `pipe run --locked` fails where a result differs.\n";

/// Results by stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockFile(pub BTreeMap<String, Locked>);

/// The result of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locked {
    /// What it was made of.
    pub key: ActionKey,
    /// What it is.
    pub output: Digest,
}

/// What can be wrong with a lock file.
#[derive(Debug, thiserror::Error)]
pub enum LockFileError {
    /// It can't be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is not one of ours.
    #[error("{}:{line}: expected a stage, a key and a digest; restore the file, or remove it and run again", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
}

impl LockFile {
    /// Returns where the lock file of the pipeline file at `pipeline` is.
    pub fn path(pipeline: &Path) -> PathBuf {
        pipeline.with_extension("lock")
    }

    /// Reads the file at `path`; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, LockFileError> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let mut stages = BTreeMap::new();
        for (position, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let wrong = || LockFileError::Line { path: path.to_owned(), line: position + 1 };
            let [stage, key, output] = words.as_slice() else { return Err(wrong()) };
            let (Ok(key), Ok(output)) = (key.parse(), output.parse()) else { return Err(wrong()) };
            stages.insert((*stage).to_owned(), Locked { key, output });
        }
        Ok(Some(Self(stages)))
    }

    /// Takes over the results of a run; stages that are not among `stages` any more are left out.
    pub fn update(&mut self, run: &RunSummary, stages: &BTreeSet<&str>) {
        for stage in &run.stages {
            let result = stage.key.as_ref().zip(stage.output.as_ref());
            let result = result.and_then(|(key, output)| Some((key.parse().ok()?, output.parse().ok()?)));
            if let Some((key, output)) = result {
                self.0.insert(stage.stage.clone(), Locked { key, output });
            }
        }
        self.0.retain(|stage, _| stages.contains(stage.as_str()));
    }

    /// Writes the file, and lets the store at `root` know of it, so that what it names is kept.
    pub fn write(&self, path: &Path, root: &Path) -> Result<(), LockFileError> {
        let width = self.0.keys().map(String::len).max().unwrap_or(0);
        let mut text = HEADER.to_owned();
        for (stage, Locked { key, output }) in &self.0 {
            text += &format!("{stage:width$}  {key}  {output}\n");
        }
        replace(path, &text)?;
        let path = std::path::absolute(path)?;
        let known = root.join("lockfiles").join(Digest::of(path.as_os_str().as_encoded_bytes()).to_string());
        if !known.exists() {
            fs::create_dir_all(root.join("lockfiles"))?;
            replace(&known, &path.display().to_string())?;
        }
        Ok(())
    }

    /// Returns the keys that are named by lock files which runs with the store at `root` wrote, as far as they are there.
    pub fn all_keys(root: &Path) -> std::io::Result<BTreeSet<ActionKey>> {
        let entries = match fs::read_dir(root.join("lockfiles")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            entries => entries?,
        };
        let mut keys = BTreeSet::new();
        for entry in entries {
            let path = PathBuf::from(fs::read_to_string(entry?.path())?);
            if let Ok(Some(lock)) = Self::read(&path) {
                keys.extend(lock.0.values().map(|locked| locked.key));
            }
        }
        Ok(keys)
    }
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    // As `fs::write` would make it: others in the team read it too.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(file.path(), readable)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_all_else_has_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = LockFile::path(&folder.path().join("p.yaml"));
        assert_eq!(LockFile::read(&path).expect("read"), None);
        let key: ActionKey = Digest::of(b"key").to_string().parse().expect("hex");
        let locked = Locked { key, output: Digest::of(b"output") };
        let lock = LockFile([("a@n=1", locked), ("long_name", locked)].map(|(name, l)| (name.to_owned(), l)).into());
        lock.write(&path, folder.path()).expect("written");
        assert_eq!(LockFile::read(&path).expect("read"), Some(lock));
        assert_eq!(LockFile::all_keys(folder.path()).expect("read"), BTreeSet::from([key]));
        fs::write(&path, "# fine\na b\n").expect("written");
        let error = LockFile::read(&path).expect_err("wrong").to_string();
        assert!(error.contains("p.lock:2: expected a stage"), "{error}");
    }
}
