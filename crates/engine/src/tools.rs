//! Versions of the libraries that determine bytes. They are cached: to query a worker, `pipe` has to start it, and a run in which
//! nothing changed must not do that. A worker is queried again when one of its files has changed.

use crate::error::RunError;
use fs_err as fs;
use pipe_cache::{Digest, Fingerprint};
use pipe_schemas::Worker;
use pipe_stage::protocol::{Info, PROTOCOL_VERSION};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The cached information about a worker, with the state of its files.
#[derive(Serialize, Deserialize)]
struct CachedInfo {
    info: Info,
    files: Vec<(PathBuf, String)>,
}

/// Returns the information that `program` prints about itself.
pub(crate) fn info(store_root: &Path, worker: Worker, program: &Path) -> Result<Info, RunError> {
    let kept = store_root.join("tools").join(Digest::of(program.as_os_str().as_encoded_bytes()).to_string());
    let cached = fs::read(&kept).ok().and_then(|bytes| serde_json::from_slice::<CachedInfo>(&bytes).ok());
    if let Some(cached) = cached
        && cached.files.iter().all(|(path, state)| file_state(path).as_ref() == Some(state))
    {
        return Ok(cached.info);
    }
    let info = query(worker, program)?;
    let files = std::iter::once(program.to_owned()).chain(info.libraries.iter().cloned());
    let files = files.filter_map(|path| file_state(&path).map(|state| (path, state))).collect();
    let cached = CachedInfo { info, files };
    let folder = store_root.join("tools");
    fs::create_dir_all(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    serde_json::to_writer(&mut file, &cached)?;
    file.flush()?;
    file.persist(&kept).map_err(|error| error.error)?;
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
