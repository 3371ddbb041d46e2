//! [`WorkerProcess`]: a process that speaks `pipe_stage::protocol` over its stdin and stdout.

use super::handle::{Handle, Target};
use super::reaper::Reaper;
use super::session::{Ended, Report, WorkerUpdate};
use crate::error::RunError;
use fs_err as fs;
use nix::unistd::Pid;
use pipe_stage::protocol::{Message, Reply, Request};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Number of lines of a dead worker's log that are shown.
pub(super) const LAST_LINES: usize = 10;
/// How long a worker may take to end after it has closed its output.
const END_WITHIN: Duration = Duration::from_secs(2);

/// A worker process.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    handle: WorkerHandle,
    stdout: BufReader<ChildStdout>,
    log: Arc<Mutex<Log>>,
    reaper: Arc<Reaper>,
}

#[derive(Debug, Clone)]
struct WorkerHandle {
    child: Arc<Mutex<Child>>,
    stdin: Arc<Mutex<ChildStdin>>,
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
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env(pipe_stage::PARENT_VARIABLE, std::process::id().to_string())
            .process_group(0) // Ctrl-C on the terminal is for `pipe` to handle
            .spawn()?;
        let missing = || std::io::Error::other("a pipe to the worker is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let log = Arc::new(Mutex::new(Log::default()));
        let sink = Arc::clone(&log);
        std::thread::Builder::new().name("worker-log".into()).spawn(move || copy_log(stderr, &sink))?;
        let handle = WorkerHandle { child: Arc::new(Mutex::new(child)), stdin: Arc::new(Mutex::new(stdin)) };
        let worker = Self { handle, stdout, log, reaper };
        // The worker ties itself to `pipe`, but only after its libraries are loaded.
        worker.reaper.watch(worker.group());
        Ok(worker)
    }

    /// Returns a handle for the next action.
    pub(super) fn handle(&self) -> Handle {
        Handle::new(self.handle.clone())
    }

    /// Runs a request to its end, and passes on what the worker reports before. Its stderr is added to the file at `log`.
    pub(super) fn run(&mut self, request: Request, log: &Path, report: Report) -> Result<Ended, RunError> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        *lock(&self.log) = Log { file: Some(file), last_lines: VecDeque::new() };
        self.reset_peak_memory();
        if self.handle.send(&Message::Run(Box::new(request))).is_err() {
            return Ok(self.died());
        }
        let mut warnings = Vec::new();
        let mut line = String::new();
        loop {
            line.clear();
            if self.stdout.read_line(&mut line)? == 0 {
                return Ok(self.died());
            }
            match serde_json::from_str(&line) {
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
                    return Ok(Ended::Failed { error, causes, help, cancelled });
                }
                Err(error) => {
                    self.handle.kill();
                    let how = format!("it sent something that is not a reply ({error}): {}", line.trim_end());
                    return Ok(Ended::Died { how, last_lines: Vec::new() });
                }
            }
        }
    }

    /// Waits for a worker that has closed its output, and returns how it ended.
    fn died(&mut self) -> Ended {
        let until = Instant::now() + END_WITHIN;
        let status = loop {
            match lock(&self.handle.child).try_wait() {
                Ok(Some(status)) => break describe(status),
                Ok(None) if Instant::now() < until => {}
                Ok(None) => {
                    self.handle.kill();
                    break "it closed its output but did not end".to_owned();
                }
                Err(error) => break error.to_string(),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Ended::Died { how: status, last_lines: lock(&self.log).last_lines.iter().cloned().collect() }
    }

    /// Returns the process group, which has the same number as the process.
    fn group(&self) -> Pid {
        Pid::from_raw(self.pid() as i32)
    }

    fn pid(&self) -> u32 {
        lock(&self.handle.child).id()
    }

    fn reset_peak_memory(&self) {
        // Without this file, the kernel reports the peak of the worker's whole life.
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid()), "5");
    }

    fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
    }
}

/// Kills the worker. It would also end when its stdin closes, but not while it runs a request.
impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.handle.kill();
        // The process has ended or is about to; this only removes its entry from the process table.
        let _ = lock(&self.handle.child).wait();
        self.reaper.forget(self.group());
    }
}

impl Target for WorkerHandle {
    fn cancel(&self) {
        // If it fails, the worker is dead already; the thread that reads from it sees that.
        drop(self.send(&Message::Cancel));
    }

    fn kill(&self) {
        let _ = lock(&self.child).kill();
    }
}

impl WorkerHandle {
    fn send(&self, message: &Message) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let mut stdin = lock(&self.stdin);
        stdin.write_all(&line)?;
        stdin.flush()
    }
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

pub(super) fn describe(status: ExitStatus) -> String {
    match (status.signal().map(nix::sys::signal::Signal::try_from), status.code()) {
        (Some(Ok(signal)), _) => format!("killed by {signal}"),
        (Some(Err(_)), _) => "killed by an unknown signal".into(),
        (None, code) => format!("ended with exit code {}", code.unwrap_or(-1)),
    }
}
