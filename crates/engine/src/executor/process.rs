//! [`WorkerProcess`]: a process that speaks `pipe_stage::protocol` over its stdin and stdout.
//!
//! Nothing here waits for a worker without end, unless the worker does the work it was asked for: messages are written by a
//! thread of their own, and [`Replies`] notices that the worker has ended or has closed one of its pipes.

use super::handle::{Handle, Target};
use super::reaper::Reaper;
use super::session::{Ended, Report, WorkerUpdate};
use crate::error::RunError;
use child::WorkerChild;
use fs_err as fs;
use messages::Messages;
use pipe_stage::protocol::{Message, Reply, Request};
use replies::{Lost, Replies};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod child;
mod messages;
mod replies;
#[cfg(test)]
mod tests;

pub(super) use child::describe;

/// Number of lines of a dead worker's log that are shown.
pub(super) const LAST_LINES: usize = 10;

/// Number of characters of an invalid reply that are shown.
const SHOWN_CHARS: usize = 200;

#[derive(Debug)]
pub(super) struct WorkerProcess {
    handle: WorkerHandle,
    replies: Replies,
    log: Arc<Mutex<Log>>,
    reaper: Option<Arc<Reaper>>,
}

#[derive(Debug, Clone)]
struct WorkerHandle {
    child: Arc<WorkerChild>,
    messages: Messages,
}

/// The log of the stage that a worker runs; receives its stderr.
#[derive(Debug, Default)]
struct Log {
    file: Option<std::fs::File>,
    last_lines: VecDeque<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WorkerProcess {
    /// Starts a worker. It dies with the thread that calls this, which therefore must live as long as the run.
    pub(super) fn start(program: &Path, reaper: Arc<Reaper>) -> std::io::Result<Self> {
        let worker = Self::spawn(&mut Command::new(program), Some(reaper))?;
        // The worker ties itself to `pipe`, but only after its libraries are loaded.
        worker.reaper.iter().for_each(|reaper| reaper.watch(worker.handle.child.group()));
        Ok(worker)
    }

    fn spawn(command: &mut Command, reaper: Option<Arc<Reaper>>) -> std::io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env(pipe_stage::PARENT_VARIABLE, std::process::id().to_string())
            .process_group(0) // Ctrl-C on the terminal is for `pipe` to handle
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // From here on, an error ends the worker.
        let child = Arc::new(WorkerChild::new(child));
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(std::io::Error::other("a pipe to the worker is missing"));
        };
        let (stdin, log) = (Arc::new(stdin), Arc::new(Mutex::new(Log::default())));
        let sink = Arc::clone(&log);
        std::thread::Builder::new().name("worker-log".into()).spawn(move || copy_log(stderr, &sink))?;
        let messages = Messages::start(Arc::clone(&stdin))?;
        let replies = Replies::new(stdout, stdin, Arc::clone(&child));
        Ok(Self { handle: WorkerHandle { child, messages }, replies, log, reaper })
    }

    /// Returns a handle for the next action.
    pub(super) fn handle(&self) -> Handle {
        Handle::new(self.handle.clone())
    }

    /// Returns whether the worker waits for a request: it runs, reads its input, and has sent nothing since its last reply.
    pub(super) fn is_idle(&self) -> bool {
        self.replies.is_idle()
    }

    /// Runs a request of the action of `handle` to its end, and passes on what the worker reports before. Its stderr is added
    /// to the file at `log`.
    pub(super) fn run(
        &mut self,
        request: Request,
        handle: &Handle,
        log: &Path,
        report: Report,
    ) -> Result<Ended, RunError> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        *lock(&self.log) = Log { file: Some(file), last_lines: VecDeque::new() };
        self.reset_peak_memory();
        self.handle.messages.send(&Message::Run(Box::new(request)))?;
        if handle.is_stopped() {
            self.handle.cancel(); // it was stopped just before there was a request to stop
        }
        let mut warnings = Vec::new();
        loop {
            let line = match self.replies.next_line() {
                Ok(line) => line,
                Err(lost) => return Ok(self.died(&lost)),
            };
            match serde_json::from_slice(line) {
                Ok(Reply::Warning { text }) => warnings.push(text),
                Ok(Reply::Progress { done, total, unit }) => report(WorkerUpdate::Progress { done, total, unit })?,
                Ok(Reply::Measured { step, values }) => report(WorkerUpdate::Measured { step, values })?,
                Ok(Reply::Environment { values }) => report(WorkerUpdate::Environment { values })?,
                Ok(Reply::PartFinished { name }) => report(WorkerUpdate::PartFinished { name })?,
                Ok(Reply::Planned { parts, .. }) => return Ok(Ended::Planned { parts }),
                Ok(Reply::Made { chain_ended, .. }) => return Ok(Ended::Made { chain_ended }),
                Ok(Reply::StateNeeded { part, .. }) => return Ok(Ended::StateNeeded { part }),
                Ok(Reply::Finished { summary, .. }) => {
                    return Ok(Ended::Finished { summary, warnings, peak_memory_bytes: self.peak_memory() });
                }
                Ok(Reply::Failed { error, causes, help, cancelled, .. }) => {
                    return Ok(Ended::Failed { error, causes, last_lines: Vec::new(), help, cancelled });
                }
                Err(error) => {
                    let how = format!("it sent something that is not a reply ({error}): {}", shown(line));
                    self.handle.kill();
                    return Ok(self.dead(how));
                }
            }
        }
    }

    /// Ends a worker that can't be used any more, and returns how it ended.
    fn died(&self, lost: &Lost) -> Ended {
        let ended = match lost {
            Lost::ClosedOutput { .. } | Lost::Ended { .. } | Lost::Io(_) => self.handle.child.wait_for_end(),
            Lost::ClosedInput | Lost::LongLine { .. } => self.handle.child.ended(),
        };
        self.handle.kill();
        let how = match (lost, ended) {
            (Lost::LongLine { limit_bytes }, _) => format!("it sent a line of more than {limit_bytes} bytes"),
            (Lost::Io(error), None) => format!("its output can't be read: {error}"),
            (Lost::ClosedOutput { .. } | Lost::Ended { .. } | Lost::ClosedInput | Lost::Io(_), Some(how)) => how,
            (Lost::ClosedInput, None) => "it closed its input but did not end".to_owned(),
            (Lost::ClosedOutput { .. } | Lost::Ended { .. }, None) => "it closed its output but did not end".to_owned(),
        };
        match lost {
            Lost::ClosedOutput { unfinished } | Lost::Ended { unfinished } if !unfinished.is_empty() => {
                self.dead(format!("{how}, in the middle of a reply: {}", shown(unfinished)))
            }
            _ => self.dead(how),
        }
    }

    fn dead(&self, how: String) -> Ended {
        Ended::Died { how, last_lines: lock(&self.log).last_lines.iter().cloned().collect() }
    }

    fn reset_peak_memory(&self) {
        // Without this file, the kernel reports the peak of the worker's whole life.
        let _ = fs::write(format!("/proc/{}/clear_refs", self.handle.child.group()), "5");
    }

    fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.handle.child.group())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
    }
}

/// Kills the worker. It would also end when its stdin closes, but not while it runs a request.
impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.handle.child.end();
        if let Some(reaper) = &self.reaper {
            reaper.forget(self.handle.child.group());
        }
    }
}

impl Target for WorkerHandle {
    fn cancel(&self) {
        // If it can't be sent, the worker is dead or does not read; the thread that reads from it sees that, or it is killed.
        drop(self.messages.send(&Message::Cancel));
    }

    fn kill(&self) {
        self.child.kill();
    }
}

/// Returns the start of a line that the worker sent.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown: String = text.trim_end().chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.trim_end().len() {
        shown.push('…');
    }
    shown
}

fn copy_log(stderr: ChildStderr, log: &Mutex<Log>) {
    for line in BufReader::new(stderr).split(b'\n') {
        let Ok(line) = line else { return };
        let mut log = lock(log);
        if let Some(file) = &mut log.file {
            // If the disk is full, the stage continues without its log.
            let _ = file.write_all(&line).and_then(|()| file.write_all(b"\n"));
        }
        if log.last_lines.len() == LAST_LINES {
            log.last_lines.pop_front();
        }
        log.last_lines.push_back(String::from_utf8_lossy(&line).into_owned());
    }
}
