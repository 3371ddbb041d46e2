//! [`run`]: a program of the user's, from start to end.

use super::{Ended, Handle, LAST_LINES, Target, describe, lock};
use crate::local::reaper::Reaper;
use fs_err as fs;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use pipe_schemas::stages::command::{CommandParams, Placeholder, Text, pieces};
use pipe_stage::Summary;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a program is run with.
pub(crate) struct CommandRun<'a> {
    pub(crate) params: &'a CommandParams,
    /// By port.
    pub(crate) inputs: &'a BTreeMap<String, PathBuf>,
    /// The folder of its outputs.
    pub(crate) output: &'a Path,
    /// What every command sees of the environment.
    pub(crate) environment: &'a [(String, OsString)],
    /// Receives its stdout and stderr.
    pub(crate) log: &'a Path,
}

/// Runs a program to its end.
pub(crate) fn run(run: &CommandRun, handle: &Handle, reaper: &Reaper) -> std::io::Result<Ended> {
    for path in run.params.outputs.values() {
        if let Some((folder, _)) = path.trim_end_matches('/').rsplit_once('/') {
            fs::create_dir_all(run.output.join(folder))?;
        }
    }
    let log = std::fs::OpenOptions::new().create(true).append(true).open(run.log)?;
    let starting = reaper.starting(&log)?;
    let mut command = command(run);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(not_started(&command, &error)),
    };
    let group = Pid::from_raw(child.id() as i32);
    starting.started(group);
    *lock(&handle.target) = Target::Group(group);
    if handle.is_stopped() {
        handle.kill(); // told to stop just before there was somebody to tell
    }
    let ended = waitid(Id::Pid(group), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    *lock(&handle.target) = Target::Nobody;
    // What it left running in its group would outlive the run and could still write. Its own process is not taken out of
    // the system's table before this, so that the group's number can't have gone to somebody else.
    let _ = killpg(group, Signal::SIGKILL);
    reaper.forget(group);
    let status = child.wait()?;
    ended.map_err(std::io::Error::from)?;
    if status.success() {
        return Ok(Ended::Finished { summary: Summary::default(), warnings: Vec::new(), peak_memory_bytes: None });
    }
    Ok(Ended::Failed {
        error: format!("the program {}", describe(status)),
        causes: last_lines(run.log),
        help: None,
        cancelled: handle.is_stopped(),
    })
}

fn command(run: &CommandRun) -> Command {
    let CommandParams { run: arguments, shell, env, .. } = run.params;
    let path = |placeholder: Placeholder| match placeholder {
        Placeholder::Input(name) => run.inputs.get(name).cloned().unwrap_or_default(),
        Placeholder::Output(name) => {
            run.output.join(run.params.outputs.get(name).map_or("", |path| path.trim_end_matches('/')))
        }
    };
    let mut command = if let Some((program, rest)) = arguments.split_first() {
        let argument = |text: &Text| {
            let mut whole = OsString::new();
            for piece in pieces(&text.0) {
                match piece {
                    Ok(literal) => whole.push(literal),
                    Err(placeholder) => whole.push(path(placeholder)),
                }
            }
            whole
        };
        let mut command = Command::new(argument(program));
        command.args(rest.iter().map(argument));
        command
    } else {
        // As variables, so that the shell's own quoting decides what becomes of odd characters in a path.
        let variable = |placeholder: Placeholder| format!("${{{}}}", placeholder.variable());
        let line: String = pieces(shell).into_iter().map(|piece| piece.map_or_else(variable, str::to_owned)).collect();
        let mut command = Command::new("/bin/sh");
        command.args(["-eu", "-c", &line]);
        command
    };
    command
        .env_clear()
        .envs(run.environment.iter().map(|(name, value)| (name, value)))
        .envs(env.iter().map(|(name, value)| (name, &value.0)));
    for name in run.inputs.keys() {
        let placeholder = Placeholder::Input(name);
        command.env(placeholder.variable(), path(placeholder));
    }
    for name in run.params.outputs.keys() {
        let placeholder = Placeholder::Output(name);
        command.env(placeholder.variable(), path(placeholder));
    }
    command
}

fn not_started(command: &Command, error: &std::io::Error) -> Ended {
    let program = command.get_program().to_string_lossy();
    Ended::Failed {
        error: format!("the program `{program}` can't be started"),
        causes: vec![error.to_string()],
        help: (error.kind() == std::io::ErrorKind::NotFound).then(|| {
            "it is looked up in PATH; a path such as ./convert.sh is relative to the folder `pipe` runs in".into()
        }),
        cancelled: false,
    }
}

/// Returns the end of a log.
fn last_lines(log: &Path) -> Vec<String> {
    let bytes = fs::read(log).unwrap_or_default();
    let tail = &bytes[bytes.len().saturating_sub(16 << 10)..];
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}
