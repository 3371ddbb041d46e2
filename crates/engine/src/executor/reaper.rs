//! [`run`]: a process that kills workers and commands after their `pipe` has died.
//!
//! A worker ends when its `pipe` dies, but only after its libraries are loaded; a command does not. Therefore `pipe` keeps a list
//! of the running process groups in memory that it shares with a small process, the reaper. When `pipe` dies, the reaper's stdin
//! closes, and it kills these groups. Until then it sleeps.
//!
//! ```text
//! ?STDOUT          a command is about to start; STDOUT is the device and the inode of its log
//! +GROUP [STDOUT]  it runs, as this group; or a worker does
//! !STDOUT          it could not be started
//! -GROUP           it has ended
//! ```
//!
//! If `pipe` dies before it knows the group of a command, the reaper finds the command by its stdout.

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgid};
use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The argument with which `pipe` starts itself as a reaper.
pub const ARGUMENT: &str = "--reap-commands";

/// Waits until stdin closes, then kills the groups that are left of the list behind stdout.
pub fn run() -> io::Result<()> {
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    let mut list = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut text = String::new();
    list.rewind()?;
    list.read_to_string(&mut text)?;
    end(&text);
    Ok(())
}

/// Number of searches for a command that was about to start: it may not have its stdout yet.
const SEARCHES: usize = 10;

/// Time between two searches.
const BETWEEN_SEARCHES: Duration = Duration::from_millis(20);

/// Ends the groups of a list that have not ended.
fn end(list: &str) {
    let (mut groups, mut starting) = (BTreeSet::<i32>::new(), BTreeSet::<&str>::new());
    for line in list.lines() {
        let Some((sign, rest)) = line.split_at_checked(1) else { return };
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        match (sign, first.parse()) {
            ("?", _) => drop(starting.insert(rest)),
            ("!", _) => drop(starting.remove(rest)),
            ("+", Ok(group)) => {
                starting.remove(second);
                groups.insert(group);
            }
            ("-", Ok(group)) => drop(groups.remove(&group)),
            _ => return, // an unknown line: do nothing rather than kill a wrong process
        }
    }
    groups.into_iter().for_each(kill);
    for _ in 0..if starting.is_empty() { 0 } else { SEARCHES } {
        groups_that_write_to(&starting).into_iter().for_each(kill);
        std::thread::sleep(BETWEEN_SEARCHES);
    }
}

fn kill(group: i32) {
    // 0 and 1 would mean everything.
    if group > 1 {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// Returns the groups whose leader has one of `files` as its stdout. A process that does not lead a group yet is still in the
/// group of `pipe`, which may contain other processes.
fn groups_that_write_to(files: &BTreeSet<&str>) -> BTreeSet<i32> {
    let Ok(processes) = fs_err::read_dir("/proc") else { return BTreeSet::new() };
    let group = |process: fs_err::DirEntry| {
        let number: i32 = process.file_name().to_str()?.parse().ok()?;
        let stdout = fs_err::metadata(process.path().join("fd/1")).ok()?;
        let is_first = getpgid(Some(Pid::from_raw(number))).ok()?.as_raw() == number;
        (is_first && files.contains(name(&stdout).as_str())).then_some(number)
    };
    processes.flatten().filter_map(group).collect()
}

/// Returns a text that differs for every open file.
fn name(file: &Metadata) -> String {
    format!("{}:{}", file.dev(), file.ino())
}

/// The side of `pipe`: starts the reaper, and keeps its list.
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
        // Ctrl-C on the terminal must not end it before `pipe`.
        Ok(Self { child: command.process_group(0).spawn()?, list: Mutex::new(list) })
    }

    /// Notes that a command is about to start with `log` as its stdout.
    pub(crate) fn starting(&self, log: &File) -> io::Result<Starting<'_>> {
        let starting = Starting { reaper: self, stdout: name(&log.metadata()?), has_started: false };
        self.write(&format!("?{}\n", starting.stdout));
        Ok(starting)
    }

    /// Notes that a process group runs.
    pub(crate) fn watch(&self, group: Pid) {
        self.write(&format!("+{group}\n"));
    }

    /// Notes that a process group has ended.
    pub(crate) fn forget(&self, group: Pid) {
        self.write(&format!("-{group}\n"));
    }

    fn write(&self, line: &str) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        // Without its line, a command may outlive a `pipe` that is killed. That is no reason to stop the run.
        let _ = list.write_all(line.as_bytes());
    }
}

/// Starts a [`Reaper`] when the first action needs it.
pub(crate) struct ReaperOnDemand {
    pipe: PathBuf,
    started: Mutex<Option<Arc<Reaper>>>,
}

impl ReaperOnDemand {
    pub(crate) fn new(pipe: &Path) -> Self {
        Self { pipe: pipe.to_owned(), started: Mutex::default() }
    }

    pub(crate) fn get(&self) -> io::Result<Arc<Reaper>> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        match &*started {
            Some(reaper) => Ok(Arc::clone(reaper)),
            None => Ok(Arc::clone(started.insert(Arc::new(Reaper::start(&self.pipe)?)))),
        }
    }
}

/// A command that is about to start. If this is dropped first, the command was not started.
pub(crate) struct Starting<'a> {
    reaper: &'a Reaper,
    stdout: String,
    has_started: bool,
}

impl Starting<'_> {
    /// Notes that it runs now.
    pub(crate) fn started(mut self, group: Pid) {
        self.has_started = true;
        self.reaper.write(&format!("+{group} {}\n", self.stdout));
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        if !self.has_started {
            self.reaper.write(&format!("!{}\n", self.stdout));
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    /// Starts a command of its own group, whose stdout is a file.
    fn sleeper(stdout: &File) -> Child {
        let mut command = Command::new("sleep");
        command.arg("600").stdout(stdout.try_clone().expect("a file")).process_group(0).spawn().expect("started")
    }

    #[test]
    fn what_runs_or_was_about_to_start_is_ended_and_nothing_else() {
        let files = [(); 4].map(|()| tempfile::tempfile().expect("a file"));
        let mut children = files.each_ref().map(sleeper);
        let names = files.each_ref().map(|file| name(&file.metadata().expect("a file")));
        let groups = children.each_ref().map(Child::id);
        // The first is known, the second was about to start, the third has ended as far as is known, the fourth did not start.
        let list = format!(
            "?{}\n+{} {}\n?{}\n?{}\n+{} {}\n-{}\n?{}\n!{}\n",
            names[0], groups[0], names[0], names[1], names[2], groups[2], names[2], groups[2], names[3], names[3]
        );
        end(&list);
        let killed = |child: &mut Child| child.wait().expect("ended").signal() == Some(Signal::SIGKILL as i32);
        let [first, second, third, fourth] = &mut children;
        assert!(killed(first) && killed(second));
        for other in [third, fourth] {
            assert!(other.try_wait().expect("looked").is_none(), "it runs");
            other.kill().expect("killed");
            other.wait().expect("ended");
        }
    }
}
