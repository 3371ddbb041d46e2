//! Reads rar archives of any version with the program `bsdtar`, which converts them to tar. A hostile rar can harm only that
//! program, and its output is checked like any tar.

use super::{Limited, tar};
use crate::FetchError;
use crate::entry::Visitor;
use crate::tree::Unpacking;
use pipe_stage::StageError;
use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

/// Maximum size of the error output to keep.
const MAX_STDERR_BYTES: usize = 2000;

/// Calls `visit` for each entry of a rar.
pub(super) fn read(unpacking: &Unpacking, path: &Path, max_bytes: u64, visit: &mut Visitor) -> Result<(), StageError> {
    let archive = || unpacking.archive.clone();
    let mut source = OsString::from("@");
    source.push(path);
    let mut command = Command::new("bsdtar");
    command.args(["-c", "-f", "-", "--format=pax"]).arg(source);
    // Names are UTF-8, independent of the user's locale.
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child =
        command.spawn().map_err(|source| FetchError::NoBsdtar { archive: archive(), source }.into_stage_error())?;
    let mut program = KillOnDrop(child);
    let missing = || io::Error::other("a pipe to `bsdtar` is missing");
    let stdout = program.0.stdout.take().ok_or_else(missing)?;
    let stderr = program.0.stderr.take().ok_or_else(missing)?;
    let messages = std::thread::Builder::new().name("bsdtar-stderr".into()).spawn(move || read_stderr(stderr))?;
    let stdout = BufReader::with_capacity(1 << 16, Limited { inner: stdout, left: max_bytes });
    let unpacked = tar::read(unpacking, stdout, visit);
    if unpacked.is_err() {
        program.0.kill()?;
    }
    let status = program.0.wait()?;
    let messages = messages.join().unwrap_or_default();
    // If the rar is truncated or has unsupported entries, `bsdtar` still writes a valid tar. It only prints a message, sometimes with
    // exit code 0.
    if unpacked.is_ok() && (!status.success() || !messages.trim().is_empty()) {
        let source = io::Error::other(format!("bsdtar ended with {status}: {}", messages.trim()));
        return Err(FetchError::Broken { archive: archive(), source }.into());
    }
    unpacked
}

/// A running program, which is killed when dropped.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Killing fails if the program has already exited, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the start of the error output, and reads the rest, so that the program does not block.
fn read_stderr(mut stderr: ChildStderr) -> String {
    let mut start = Vec::new();
    let read = stderr.by_ref().take(MAX_STDERR_BYTES as u64).read_to_end(&mut start);
    if read.is_ok() {
        let _ = io::copy(&mut stderr, &mut io::sink());
    }
    String::from_utf8_lossy(&start).into_owned()
}
