//! [`LockFile`]: the results of a pipeline, in a text file beside it that can be committed.
//!
//! ```text
//! # Written by `pipe run`; `pipe run --locked` fails where a result differs.
//! frames  77ab…  10ff…      stage, action key, digest of its output
//! eval    4f2a…  9c01…
//!   environment {"device":"cpu","instruction_set":"AVX2",…}
//!   figures {"loss":0.41,"top1":0.55}
//! ```
//!
//! A floating-point result gives equal bits in an equal environment only. In another one, `--locked` compares its figures.

use crate::bookkeeping::Bookkeeping;
use crate::record::RunSummary;
use fs_err as fs;
use pipe_cache::{ActionKey, Digest};
use pipe_stage::Environment;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Begins a line that belongs to the stage above it.
const INDENT: &str = "  ";
const ENVIRONMENT: &str = "environment ";
const FIGURES: &str = "figures ";

/// Some editors write it at the start of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const HEADER: &str = "# Written by `pipe run`; `pipe run --locked` fails where a result differs.\n";

/// Results by stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LockFile(pub BTreeMap<String, Locked>);

/// The result of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Locked {
    /// Digest of everything that determines the result.
    pub key: ActionKey,
    /// Digest of the output folder.
    pub output: Digest,
    /// The environment of a floating-point result; see [`pipe_stage::environment()`].
    pub environment: Environment,
    /// Numbers that describe a floating-point result, such as `loss` and `top1`.
    pub figures: BTreeMap<String, f64>,
}

impl Locked {
    /// Reads an indented line; `None` if it is not one of ours.
    fn add(&mut self, detail: &str) -> Option<()> {
        if let Some(json) = detail.strip_prefix(ENVIRONMENT) {
            self.environment = serde_json::from_str(json).ok()?;
        } else {
            self.figures = serde_json::from_str(detail.strip_prefix(FIGURES)?).ok()?;
        }
        Some(())
    }

    /// Returns an exact result, which is compared by its digest alone.
    pub fn exact(key: ActionKey, output: Digest) -> Self {
        Self { key, output, environment: Environment::new(), figures: BTreeMap::new() }
    }
}

/// What is wrong with a lock file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum LockFileError {
    /// It can't be read or written; the message contains its path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line can't be parsed.
    #[error("{}:{line}: expected a stage, a key and a digest; restore the file, or remove it and run again", path.display())]
    Line {
        path: PathBuf,
        /// Line number, from 1.
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
        let Some((lock, wrong)) = Self::read_lines(path)? else { return Ok(None) };
        match wrong.first() {
            Some(&line) => Err(LockFileError::Line { path: path.to_owned(), line }),
            None => Ok(Some(lock)),
        }
    }

    /// Reads the file at `path`, for a run that writes it again. Stages with a line that can't be read are left out, with a warning.
    pub fn read_intact(path: &Path, kept: &Bookkeeping) -> Result<Option<Self>, LockFileError> {
        let Some((lock, wrong)) = Self::read_lines(path)? else { return Ok(None) };
        if let Some(line) = wrong.first() {
            kept.damaged(path, &format!("stages are left out, the first one in line {line}"));
        }
        Ok(Some(lock))
    }

    /// Returns the stages whose lines can all be read, and the numbers of the lines that can't.
    fn read_lines(path: &Path) -> Result<Option<(Self, Vec<usize>)>, LockFileError> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        let (mut stages, mut wrong) = (BTreeMap::new(), Vec::new());
        let mut last: Option<String> = None;
        for (position, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            let text = str::from_utf8(line).map(|text| text.trim_end_matches('\r'));
            match text {
                Ok(text) if text.is_empty() || text.starts_with('#') => {}
                Ok(text) if let Some(detail) = text.strip_prefix(INDENT) => {
                    let locked = last.as_ref().and_then(|stage| stages.get_mut(stage));
                    if locked.and_then(|locked: &mut Locked| locked.add(detail)).is_none() {
                        wrong.push(position + 1);
                        if let Some(stage) = last.take() {
                            stages.remove(&stage);
                        }
                    }
                }
                text => {
                    let read = text.ok().and_then(stage_line);
                    if read.is_none() {
                        wrong.push(position + 1);
                    }
                    last = read.as_ref().map(|(stage, _)| stage.clone());
                    stages.extend(read);
                }
            }
        }
        Ok(Some((Self(stages), wrong)))
    }

    /// Adds the results of a run, and removes stages that are not in `stages`.
    pub fn update(&mut self, run: &RunSummary, stages: &BTreeSet<&str>) {
        for stage in &run.stages {
            let result = stage.key.as_ref().zip(stage.output.as_ref());
            let result = result.and_then(|(key, output)| Some((key.parse().ok()?, output.parse().ok()?)));
            if let Some((key, output)) = result {
                let environment = stage.environment.clone();
                // What an exact stage reports is determined by its digest.
                let figures = if environment.is_empty() { BTreeMap::new() } else { stage.figures.clone() };
                self.0.insert(stage.stage.clone(), Locked { key, output, environment, figures });
            }
        }
        self.0.retain(|stage, _| stages.contains(stage.as_str()));
    }

    /// Writes the file, and registers it in the store at `root`.
    pub fn write(&self, path: &Path, root: &Path) -> Result<(), LockFileError> {
        let width = self.0.keys().map(String::len).max().unwrap_or(0);
        let mut text = HEADER.to_owned();
        for (stage, Locked { key, output, environment, figures }) in &self.0 {
            text += &format!("{stage:width$}  {key}  {output}\n");
            if !environment.is_empty() {
                text += &format!("{INDENT}{ENVIRONMENT}{}\n", serde_json::json!(environment));
            }
            if !figures.is_empty() {
                text += &format!("{INDENT}{FIGURES}{}\n", serde_json::json!(figures));
            }
        }
        replace(path, text.as_bytes())?;
        Self::register(path, root)
    }

    /// Registers the file at `path` in the store at `root`, so that garbage collection keeps its results.
    pub fn register(path: &Path, root: &Path) -> Result<(), LockFileError> {
        let path = std::path::absolute(path)?;
        let path = path.as_os_str().as_bytes();
        let known = root.join("lockfiles").join(Digest::of(path).to_string());
        if fs::read(&known).ok().as_deref() != Some(path) {
            fs::create_dir_all(root.join("lockfiles"))?;
            replace(&known, path)?;
        }
        Ok(())
    }

    /// Returns the keys in all lock files that were written with the store at `root` and still exist.
    pub fn all_keys(kept: &Bookkeeping) -> std::io::Result<BTreeSet<ActionKey>> {
        let mut keys = BTreeSet::new();
        for (entry, path) in registered(kept.root())? {
            match path {
                Some(path) => {
                    let lock = Self::read_intact(&path, kept).ok().flatten().unwrap_or_default();
                    keys.extend(lock.0.values().map(|locked| locked.key));
                }
                None => {
                    kept.damaged(&entry, "it is unknown which lock file it names; a run of that pipeline restores it");
                }
            }
        }
        Ok(keys)
    }

    /// Returns the damaged files in the store at `root` that name lock files.
    pub fn unknown(root: &Path) -> std::io::Result<Vec<PathBuf>> {
        let damaged = |(entry, path): (PathBuf, Option<PathBuf>)| path.is_none().then_some(entry);
        Ok(registered(root)?.into_iter().filter_map(damaged).collect())
    }
}

/// Returns the files that name lock files, and the paths of these; `None` if the file is damaged.
fn registered(root: &Path) -> std::io::Result<Vec<(PathBuf, Option<PathBuf>)>> {
    let entries = match fs::read_dir(root.join("lockfiles")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        // A hidden file is one that a run is writing or left incomplete.
        if entry.file_name().as_bytes().starts_with(b".") {
            continue;
        }
        let path = fs::read(entry.path())?;
        // Its name is the digest of its content.
        let is_right = *entry.file_name() == *Digest::of(&path).to_string();
        all.push((entry.path(), is_right.then(|| OsString::from_vec(path).into())));
    }
    all.sort();
    Ok(all)
}

/// Reads the line of a stage.
fn stage_line(text: &str) -> Option<(String, Locked)> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [stage, key, output] = words.as_slice() else { return None };
    Some(((*stage).to_owned(), Locked::exact(key.parse().ok()?, output.parse().ok()?)))
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    // As with `fs::write`: other users may read it.
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
        let exact = Locked::exact(key, Digest::of(b"output"));
        let floats = Locked {
            environment: [("processor".to_owned(), "Zen 3".to_owned())].into(),
            figures: [("loss".to_owned(), 0.123_456_789)].into(),
            ..exact.clone()
        };
        let lock = LockFile([("a@n=1", exact), ("long_name", floats)].map(|(name, l)| (name.to_owned(), l)).into());
        lock.write(&path, folder.path()).expect("written");
        assert_eq!(LockFile::read(&path).expect("read"), Some(lock));
        assert_eq!(LockFile::all_keys(&Bookkeeping::to_read(folder.path())).expect("read"), BTreeSet::from([key]));
        fs::write(folder.path().join("lockfiles/.tmpAb"), "incomplete").expect("written");
        assert!(LockFile::unknown(folder.path()).expect("read").is_empty(), "a run is just writing it");
        for wrong in ["a b", "  figures {}", "a b c d"] {
            fs::write(&path, format!("# fine\n{wrong}\n")).expect("written");
            let error = LockFile::read(&path).expect_err("wrong").to_string();
            assert!(error.contains("p.lock:2: expected a stage"), "{wrong}: {error}");
        }
    }
}
