//! [`WorkerChild`]: the process of a worker and those that it started, as a process group.

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a worker may take to end after it has closed its input or its output.
pub(super) const END_WITHIN: Duration = Duration::from_secs(2);

/// The process of a worker. It leads a process group.
#[derive(Debug)]
pub(super) struct WorkerChild {
    group: Pid,
    /// `None` once it was reaped: then the numbers of process and group may belong to others.
    child: Mutex<Option<Child>>,
}

impl WorkerChild {
    /// Takes a process that was started as the leader of a group.
    pub(super) fn new(child: Child) -> Self {
        Self { group: Pid::from_raw(child.id() as i32), child: Mutex::new(Some(child)) }
    }

    /// Returns the process group, which has the same number as the process.
    pub(super) fn group(&self) -> Pid {
        self.group
    }

    /// Kills the process and all others of its group. Does not wait.
    pub(super) fn kill(&self) {
        // The lock is never held while something is waited for.
        if self.child.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            let _ = killpg(self.group, Signal::SIGKILL);
        }
    }

    /// Returns how the process has ended; `None` if it runs, or if that is unknown.
    pub(super) fn ended(&self) -> Option<String> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.group), flags) {
            Ok(WaitStatus::Exited(_, code)) => Some(exited(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(killed_by(signal)),
            Ok(_) => None,
            // nix has no names for real-time signals.
            Err(nix::errno::Errno::EINVAL) => Some("killed by an unknown signal".to_owned()),
            Err(error) => Some(format!("ended, but its status is unknown: {error}")),
        }
    }

    /// Waits for a process that is about to end, and returns how it ended; `None` if it does not end.
    pub(super) fn wait_for_end(&self) -> Option<String> {
        let until = Instant::now() + END_WITHIN;
        loop {
            let ended = self.ended();
            if ended.is_some() || Instant::now() >= until {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the process, and removes its entry from the process table.
    pub(super) fn end(&self) {
        self.kill();
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            let _ = child.wait();
        }
    }
}

impl Drop for WorkerChild {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns how a process has ended.
pub(in crate::executor) fn describe(status: ExitStatus) -> String {
    match (status.signal().map(Signal::try_from), status.code()) {
        (Some(Ok(signal)), _) => killed_by(signal),
        (Some(Err(_)), _) => "killed by an unknown signal".into(),
        (None, code) => exited(code.unwrap_or(-1)),
    }
}

fn killed_by(signal: Signal) -> String {
    format!("killed by {signal}")
}

fn exited(code: i32) -> String {
    format!("ended with exit code {code}")
}
