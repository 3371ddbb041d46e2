//! Versions of the libraries that determine bytes. They are cached: to query a worker, `pipe` has to start it, and a run in which
//! nothing changed must not do that. A worker is queried again when one of its files has changed.

use crate::bookkeeping::Bookkeeping;
use crate::error::RunError;
use fs_err as fs;
use pipe_cache::{Digest, Fingerprint, replace_file};
use pipe_schemas::Worker;
use pipe_stage::protocol::{Info, PROTOCOL_VERSION};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The cached information about a worker, with the state of its files.
#[derive(Serialize, Deserialize)]
struct CachedInfo {
    info: Info,
    files: Vec<(PathBuf, String)>,
    /// Digest of `info` and `files`: a version with a changed byte would get results under wrong keys. Empty in files of older
    /// versions.
    #[serde(default)]
    check: String,
}

impl CachedInfo {
    fn new(info: Info, files: Vec<(PathBuf, String)>) -> Result<Self, serde_json::Error> {
        let check = Digest::of(&serde_json::to_vec(&(&info, &files))?).hex();
        Ok(Self { info, files, check })
    }

    /// Reads the file at `path`; `None` if it is missing, damaged or outdated.
    fn read(kept: &Bookkeeping, path: &Path) -> Option<Self> {
        let cached = serde_json::from_slice::<Self>(&fs::read(path).ok()?).ok();
        let is_outdated = cached.as_ref().is_some_and(|cached| cached.check.is_empty());
        let cached = cached.and_then(|cached| {
            let again = Self::new(cached.info, cached.files).ok()?;
            (again.check == cached.check).then_some(again)
        });
        if cached.is_none() && !is_outdated {
            kept.damaged(path, "the worker is asked for its versions again");
        }
        cached.filter(|cached| cached.files.iter().all(|(path, state)| file_state(path).as_ref() == Some(state)))
    }
}

/// Returns the information that `program` prints about itself.
pub(crate) fn info(kept: &Bookkeeping, worker: Worker, program: &Path) -> Result<Info, RunError> {
    let path = kept.root().join("tools").join(Digest::of(program.as_os_str().as_encoded_bytes()).to_string());
    if let Some(cached) = CachedInfo::read(kept, &path) {
        return Ok(cached.info);
    }
    let info = query(worker, program)?;
    let files = std::iter::once(program.to_owned()).chain(info.libraries.iter().cloned());
    let files = files.filter_map(|path| file_state(&path).map(|state| (path, state))).collect();
    let cached = CachedInfo::new(info, files)?;
    let bytes = serde_json::to_vec(&cached)?;
    kept.update(|| {
        fs::create_dir_all(kept.root().join("tools"))?;
        replace_file(&path, &bytes)
    })?;
    Ok(cached.info)
}

/// Returns size, time and inode of a file as text; `None` if it does not exist.
fn file_state(path: &Path) -> Option<String> {
    fs::metadata(path).ok().map(|metadata| format!("{:?}", Fingerprint::of(&metadata)))
}

fn query(worker: Worker, program: &Path) -> Result<Info, RunError> {
    let broken = |reason: String| RunError::Worker { program: program.into(), worker: worker.program(), reason };
    let output = Command::new(program).arg("--info").stdin(Stdio::null()).output();
    let output = output.map_err(|error| broken(error.to_string()))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(broken(format!("{}: {stderr}", output.status)));
    }
    let info: Info = serde_json::from_slice(&output.stdout).map_err(|error| broken(error.to_string()))?;
    if info.protocol != PROTOCOL_VERSION {
        return Err(broken(format!("it uses protocol {}, `pipe` uses protocol {PROTOCOL_VERSION}", info.protocol)));
    }
    Ok(info)
}
