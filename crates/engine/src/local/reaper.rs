//! [`run`]: a process that ends workers and commands whose `pipe` is gone.
//!
//! A worker ends by itself when its `pipe` dies, but only once its libraries are loaded; a command can't be asked to.
//! `pipe` therefore tells a small process of its own which process groups run, and that process ends them once its stdin
//! closes, however `pipe` died.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The argument with which `pipe` starts itself as a reaper.
pub const ARGUMENT: &str = "--reap-commands";

/// Reads `+GROUP` and `-GROUP` lines until `input` closes, then ends the groups that are left.
pub fn run(input: impl BufRead) {
    let mut groups: BTreeSet<i32> = BTreeSet::new();
    for line in input.lines().map_while(Result::ok) {
        match (line.strip_prefix('+').map(str::parse), line.strip_prefix('-').map(str::parse)) {
            (Some(Ok(group)), _) => drop(groups.insert(group)),
            (_, Some(Ok(group))) => drop(groups.remove(&group)),
            _ => return, // not ours to guess
        }
    }
    // 0 and 1 would mean everything.
    for group in groups.into_iter().filter(|group| *group > 1) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// The other end: started with the first worker or command.
#[derive(Debug)]
pub(crate) struct Reaper(Mutex<Child>);

impl Reaper {
    pub(crate) fn start(pipe: &Path) -> std::io::Result<Self> {
        let mut command = Command::new(pipe);
        command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C on the terminal must not end it before its time.
        Ok(Self(Mutex::new(command.process_group(0).spawn()?)))
    }

    /// Tells of a process group that runs.
    pub(crate) fn watch(&self, group: Pid) {
        self.tell('+', group);
    }

    /// Tells of a process group that has ended.
    pub(crate) fn forget(&self, group: Pid) {
        self.tell('-', group);
    }

    fn tell(&self, sign: char, group: Pid) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a reaper a command may outlive a `pipe` that is killed; that is no reason to stop.
        if let Some(stdin) = &mut child.stdin {
            let _ = stdin.write_all(format!("{sign}{group}\n").as_bytes());
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        let child = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(child.stdin.take());
        let _ = child.wait();
    }
}
