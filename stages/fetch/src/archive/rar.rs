//! Reads rar, of any version, by `bsdtar`: a program of its own turns it into a tar, so that whatever a rar does to it, it
//! does to that program alone, and what comes of it is looked at as any tar is.

use super::{Bounded, Visitor, tar};
use crate::FetchError;
use crate::tree::Unpacking;
use pipe_stage::StageError;
use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

/// How much of what the program says is kept.
const MAX_WORDS_BYTES: usize = 2000;

/// Calls `visit` for each entry of a rar.
pub(super) fn read(unpacking: &Unpacking, path: &Path, max_bytes: u64, visit: &mut Visitor) -> Result<(), StageError> {
    let archive = || unpacking.archive.clone();
    let mut source = OsString::from("@");
    source.push(path);
    let mut command = Command::new("bsdtar");
    command.args(["-c", "-f", "-", "--format=pax"]).arg(source);
    // Names are bytes, whatever the user's language.
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|source| FetchError::NoBsdtar { archive: archive(), source }.told())?;
    let mut program = Program(child);
    let missing = || io::Error::other("a pipe to `bsdtar` is missing");
    let stdout = program.0.stdout.take().ok_or_else(missing)?;
    let stderr = program.0.stderr.take().ok_or_else(missing)?;
    let words = std::thread::Builder::new().name("bsdtar-stderr".into()).spawn(move || words(stderr))?;
    let stdout = BufReader::with_capacity(1 << 16, Bounded { inner: stdout, left: max_bytes });
    let unpacked = tar::read(unpacking, stdout, visit);
    if unpacked.is_err() {
        program.0.kill()?;
    }
    let status = program.0.wait()?;
    let words = words.join().unwrap_or_default();
    // It ends the tar in good order where the rar breaks off, and leaves out what it can't put into a tar: that, it only
    // says, at times without an exit code.
    if unpacked.is_ok() && (!status.success() || !words.trim().is_empty()) {
        let source = io::Error::other(format!("it ended with {status} and said: {}", words.trim()));
        return Err(FetchError::Broken { archive: archive(), source }.into());
    }
    unpacked
}

/// A running program, which ends with whoever has it.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended already can't be killed, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the start of what the program says, and reads the rest, so that it need not wait.
fn words(mut stderr: ChildStderr) -> String {
    let mut start = Vec::new();
    let read = stderr.by_ref().take(MAX_WORDS_BYTES as u64).read_to_end(&mut start);
    if read.is_ok() {
        let _ = io::copy(&mut stderr, &mut io::sink());
    }
    String::from_utf8_lossy(&start).into_owned()
}
