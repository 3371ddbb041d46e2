//! [`CommandExecutor`]: programs of the user on this machine.

use super::handle::{Handle, Target};
use super::process::{LAST_LINES, describe};
use super::reaper::{Reaper, ReaperOnDemand};
use super::resources::Capacity;
use super::session::{Ended, Executor, Report, Session, Started};
use crate::error::RunError;
use crate::options::RunOptions;
use fs_err as fs;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use pipe_schemas::Contract;
use pipe_schemas::stages::command::{CommandParams, Placeholder, Text, pieces};
use pipe_stage::Summary;
use pipe_stage::protocol::Request;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Runs stages that name a program themselves.
pub(super) struct CommandExecutor {
    /// The variables of `pipe` that every program sees.
    environment: Vec<(String, OsString)>,
    capacity: Capacity,
    reaper: Arc<ReaperOnDemand>,
}

#[derive(Debug)]
struct CommandSession {
    handle: Handle,
    reaper: Arc<Reaper>,
    environment: Vec<(String, OsString)>,
}

/// The process group of a program.
#[derive(Debug)]
struct Group(Pid);

/// What a program is run with.
struct CommandRun<'a> {
    params: &'a CommandParams,
    /// Paths by port.
    inputs: BTreeMap<&'a str, &'a Path>,
    /// The folder of its outputs.
    output: &'a Path,
    environment: &'a [(String, OsString)],
}

impl CommandExecutor {
    pub(super) fn new(options: &RunOptions, capacity: Capacity, reaper: Arc<ReaperOnDemand>) -> Self {
        Self { environment: options.environment.clone(), capacity, reaper }
    }
}

impl Executor for CommandExecutor {
    fn runs(&self, contract: &Contract) -> bool {
        contract.worker.is_none()
    }

    fn capacity(&self) -> Capacity {
        self.capacity
    }

    fn start(&mut self, _contract: &Contract) -> Result<Started, RunError> {
        let (handle, environment) = (Handle::default(), self.environment.clone());
        let session = Box::new(CommandSession { handle: handle.clone(), reaper: self.reaper.get()?, environment });
        Ok(Started { session, handle })
    }
}

impl Target for Group {
    fn cancel(&self) {
        let _ = killpg(self.0, Signal::SIGTERM);
    }

    fn kill(&self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

impl Session for CommandSession {
    fn run(&mut self, request: Request, log: &Path, _report: Report) -> Result<Ended, RunError> {
        let params: CommandParams = serde_json::from_value(request.params)?;
        let inputs = request.inputs.iter().map(|(port, input)| (port.as_str(), input.path.as_path())).collect();
        let run = CommandRun { params: &params, inputs, output: &request.output, environment: &self.environment };
        Ok(self.run_program(&run, log)?)
    }

    fn release(self: Box<Self>) {}
}

impl CommandSession {
    /// Runs a program to its end, with its stdout and stderr in the file at `log_path`.
    fn run_program(&self, run: &CommandRun, log_path: &Path) -> std::io::Result<Ended> {
        for path in run.params.outputs.values() {
            if let Some((folder, _)) = path.trim_end_matches('/').rsplit_once('/') {
                fs::create_dir_all(run.output.join(folder))?;
            }
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log_path)?;
        let starting = self.reaper.starting(&log)?;
        let mut command = command(run);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ok(not_started(&command, &error)),
        };
        let group = Pid::from_raw(child.id() as i32);
        starting.started(group);
        self.handle.set_target(Some(Box::new(Group(group))));
        if self.handle.is_stopped() {
            self.handle.kill(); // it was stopped just before there was a process to stop
        }
        let ended = waitid(Id::Pid(group), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        self.handle.set_target(None);
        // Processes that it left in its group would outlive the run and could still write. Its own process is not reaped
        // before this, so that the group's number can't belong to another process.
        let _ = killpg(group, Signal::SIGKILL);
        self.reaper.forget(group);
        let status = child.wait()?;
        ended.map_err(std::io::Error::from)?;
        if status.success() {
            return Ok(Ended::Finished { summary: Summary::default(), warnings: Vec::new(), peak_memory_bytes: None });
        }
        Ok(Ended::Failed {
            error: format!("the program {}", describe(status)),
            causes: Vec::new(),
            last_lines: last_lines(log_path),
            help: None,
            cancelled: self.handle.is_stopped(),
        })
    }
}

fn command(run: &CommandRun) -> Command {
    let CommandParams { run: arguments, shell, env, .. } = run.params;
    let path = |placeholder: Placeholder| match placeholder {
        Placeholder::Input(name) => run.inputs.get(name).map(|path| path.to_path_buf()).unwrap_or_default(),
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
        last_lines: Vec::new(),
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
