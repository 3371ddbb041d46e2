//! [`run`]: a process that ends workers and commands whose `pipe` is gone.
//!
//! A worker ends by itself when its `pipe` dies, but only once its libraries are loaded; a command can't be asked to.
//! `pipe` therefore keeps a list of the process groups that run in memory that it shares with a small process of its
//! own, which ends them once its stdin closes, however `pipe` died. Until then that process sleeps.

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The argument with which `pipe` starts itself as a reaper.
pub const ARGUMENT: &str = "--reap-commands";

/// Waits until stdin closes, then ends the groups that are left of the list behind stdout.
pub fn run() -> io::Result<()> {
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    let mut list = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut text = String::new();
    list.rewind()?;
    list.read_to_string(&mut text)?;
    end(&text);
    Ok(())
}

/// Ends the groups of `+GROUP` lines that no `-GROUP` line follows.
fn end(list: &str) {
    let mut groups: BTreeSet<i32> = BTreeSet::new();
    for line in list.lines() {
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
pub(crate) struct Reaper {
    child: Child,
    list: Mutex<File>,
}

impl Reaper {
    pub(crate) fn start(pipe: &Path) -> io::Result<Self> {
        let list = File::from(memfd_create(c"process groups", MFdFlags::MFD_CLOEXEC)?);
        let mut command = Command::new(pipe);
        command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(list.try_clone()?).stderr(Stdio::null());
        // Ctrl-C on the terminal must not end it before its time.
        Ok(Self { child: command.process_group(0).spawn()?, list: Mutex::new(list) })
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
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        // Without its line a command may outlive a `pipe` that is killed; that is no reason to stop.
        let _ = list.write_all(format!("{sign}{group}\n").as_bytes());
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
