//! Versions of the libraries that decide bytes: asked of each worker once, and again when a file of it changed.
//!
//! Asking costs a start of the worker, which a run with nothing to do must not pay for.

use crate::error::RunError;
use fs_err as fs;
use pipe_cache::{Digest, Fingerprint};
use pipe_schemas::Worker;
use pipe_stage::protocol::{Info, PROTOCOL_VERSION};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What was learnt of a worker, and of which files it was true.
#[derive(Serialize, Deserialize)]
struct Learnt {
    info: Info,
    files: Vec<(PathBuf, String)>,
}

/// Returns what `program` says of itself.
pub(crate) fn info(store_root: &Path, worker: Worker, program: &Path) -> Result<Info, RunError> {
    let kept = store_root.join("tools").join(Digest::of(program.as_os_str().as_encoded_bytes()).to_string());
    let learnt = fs::read(&kept).ok().and_then(|bytes| serde_json::from_slice::<Learnt>(&bytes).ok());
    if let Some(learnt) = learnt
        && learnt.files.iter().all(|(path, look)| looks(path).as_ref() == Some(look))
    {
        return Ok(learnt.info);
    }
    let info = ask(worker, program)?;
    let files = std::iter::once(program.to_owned()).chain(info.libraries.iter().cloned());
    let files = files.filter_map(|path| looks(&path).map(|look| (path, look))).collect();
    let learnt = Learnt { info, files };
    let folder = store_root.join("tools");
    fs::create_dir_all(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    serde_json::to_writer(&mut file, &learnt)?;
    file.flush()?;
    file.persist(&kept).map_err(|error| error.error)?;
    Ok(learnt.info)
}

/// Returns what a file looks like from outside, or `None` where there is none.
fn looks(path: &Path) -> Option<String> {
    fs::metadata(path).ok().map(|metadata| format!("{:?}", Fingerprint::of(&metadata)))
}

fn ask(worker: Worker, program: &Path) -> Result<Info, RunError> {
    let broken = |reason: String| RunError::Worker { program: program.into(), worker: worker.program(), reason };
    let output = Command::new(program).arg("--info").stdin(Stdio::null()).output();
    let output = output.map_err(|error| broken(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(broken(format!("{}: {said}", output.status)));
    }
    let info: Info = serde_json::from_slice(&output.stdout).map_err(|error| broken(error.to_string()))?;
    if info.protocol != PROTOCOL_VERSION {
        return Err(broken(format!("it speaks protocol {}, `pipe` {PROTOCOL_VERSION}", info.protocol)));
    }
    Ok(info)
}
