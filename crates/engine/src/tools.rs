//! Versions of the libraries that determine bytes. They are cached: to query a worker, `pipe` has to start it, and a run in which
//! nothing changed must not do that. A worker is queried again when one of its files has changed.

use crate::bookkeeping::Bookkeeping;
use crate::error::RunError;
use fs_err as fs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pipe_cache::{Digest, Fingerprint, replace_file};
use pipe_schemas::Worker;
use pipe_stage::protocol::{Info, PROTOCOL_VERSION};
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// The cached information about a worker, with the state of its files.
#[derive(Serialize, Deserialize)]
struct CachedInfo {
    info: Info,
    files: Vec<FileState>,
    /// Digest of `info` and `files`: a version with a changed byte would get results under wrong keys. Empty in files of older
    /// versions.
    #[serde(default)]
    check: String,
}

impl CachedInfo {
    fn new(info: Info, files: Vec<FileState>) -> Result<Self, serde_json::Error> {
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
        cached.filter(|cached| cached.files.iter().all(|file| FileState::of(&file.path).as_ref() == Some(file)))
    }
}

/// A file of a worker when it reported its versions.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct FileState {
    #[serde(with = "pipe_stage::protocol::paths")]
    path: PathBuf,
    /// Size, time and inode.
    state: String,
}

/// How long a worker may take to load its libraries and to report their versions.
const REPORT_WITHIN: Duration = Duration::from_mins(5);

/// Returns the information that `program` prints about itself.
pub(crate) fn info(kept: &Bookkeeping, worker: Worker, program: &Path) -> Result<Info, RunError> {
    let path = kept.root().join("tools").join(Digest::of(program.as_os_str().as_encoded_bytes()).to_string());
    if let Some(cached) = CachedInfo::read(kept, &path) {
        return Ok(cached.info);
    }
    let info = query(worker, program, REPORT_WITHIN)?;
    let files = std::iter::once(program).chain(info.libraries.iter().map(PathBuf::as_path));
    let files = files.filter_map(FileState::of).collect();
    let cached = CachedInfo::new(info, files)?;
    let bytes = serde_json::to_vec(&cached)?;
    kept.update(|| {
        fs::create_dir_all(kept.root().join("tools"))?;
        replace_file(&path, &bytes)
    })?;
    Ok(cached.info)
}

impl FileState {
    /// Returns the state of a file; `None` if it does not exist.
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { path: path.to_owned(), state: format!("{:?}", Fingerprint::of(&metadata)) })
    }
}

fn query(worker: Worker, program: &Path, within: Duration) -> Result<Info, RunError> {
    let broken = |reason: String| RunError::Worker { program: program.into(), worker: worker.program(), reason };
    let output = output_of(Command::new(program).arg("--info"), within).map_err(|error| broken(error.to_string()))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(broken(format!("{}: {stderr}", output.status)));
    }
    let info: Info = serde_json::from_slice(&output.stdout)
        .map_err(|error| broken(format!("it does not report its versions: {error}")))?;
    if info.protocol != PROTOCOL_VERSION {
        return Err(broken(format!("it uses protocol {}, `pipe` uses protocol {PROTOCOL_VERSION}", info.protocol)));
    }
    Ok(info)
}

/// Runs a program, and kills it if it does not end in time.
fn output_of(command: &mut Command, within: Duration) -> io::Result<Output> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let process = Pid::from_raw(child.id() as i32);
    let (sender, receiver) = sync_channel(1);
    // Without a receiver, the time is over.
    let wait = move || drop(sender.send(child.wait_with_output()));
    std::thread::Builder::new().name("worker-info".into()).spawn(wait)?;
    receiver.recv_timeout(within).unwrap_or_else(|_| {
        // The thread waits for it, so its number does not belong to another process yet.
        let _ = kill(process, Signal::SIGKILL);
        Err(io::Error::new(
            ErrorKind::TimedOut,
            format!("it did not report its versions within {} s", within.as_secs()),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    /// Writes a worker that is a script, in a folder whose name is not UTF-8.
    fn worker(folder: &Path, script: &str) -> PathBuf {
        let folder = folder.join(std::ffi::OsString::from_vec(b"caf\xe9".to_vec()));
        fs::create_dir_all(&folder).expect("made");
        let program = folder.join("worker");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("set");
        program
    }

    #[test]
    fn a_worker_that_does_not_report_its_versions_is_an_error_in_time() {
        let folder = tempfile::tempdir().expect("a folder");
        for (script, expect) in [
            ("exec sleep 600", "it did not report its versions within 1 s"),
            ("exec 1>&- 2>&-; exec sleep 600", "it did not report its versions within 1 s"),
            ("sleep 20 & exit 0", "it did not report its versions within 1 s"),
            ("printf '{\"protocol\":'", "it does not report its versions: EOF"),
            ("echo oh no >&2; exit 3", "exit status: 3: oh no"),
            ("kill -9 $$", "signal: 9 (SIGKILL)"),
        ] {
            let (program, since) = (worker(folder.path(), script), Instant::now());
            let error = query(Worker::Data, &program, Duration::from_secs(1)).map(|_| ()).expect_err(script);
            assert!(error.to_string().contains(expect), "{script}: {error}");
            assert!(since.elapsed() < Duration::from_secs(10), "{script}");
        }
    }

    #[test]
    fn versions_of_a_worker_in_a_folder_of_any_name_are_kept_until_it_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = |tool: &str| {
            let report = format!(
                r#"{{"protocol":{PROTOCOL_VERSION},"kinds":{{}},"tools":{{"ffmpeg":"{tool}"}},"libraries":[]}}"#
            );
            format!("echo asked >> \"$(dirname \"$0\")/asked\"; echo '{report}'")
        };
        let program = worker(folder.path(), &script("7"));
        let kept = Bookkeeping::to_update(folder.path());
        let version = || info(&kept, Worker::Data, &program).expect("versions").tools["ffmpeg"].clone();
        let num_asked = || fs::read_to_string(program.with_file_name("asked")).expect("asked").lines().count();
        assert_eq!((version(), version(), num_asked()), ("7".into(), "7".into(), 1));
        worker(folder.path(), &script("8.1"));
        assert_eq!((version(), num_asked()), ("8.1".into(), 2));
    }
}
