//! [`Processes`]: the processes that train a network together.
//!
//! `pipe` talks to the first process only, the worker that has the request. It starts the others on this machine, which run the same
//! program as `pipe-torch-worker --join-once SECONDS`, or waits for those that were started elsewhere, if `WORLD_SIZE` is set. They receive the
//! request from it, train their pieces of each step, and write nothing. What they need to know of a validation, the first process tells
//! them after each epoch.

mod join;
mod told;

pub use join::{JOIN_FLAG, JOIN_ONCE_FLAG, JoinError, join};

use crate::TrainError;
use crate::error::Stopped;
use join::error_key;
use pipe_learn::{GroupError, LearnError, ProcessGroup, Rendezvous, listen};
use pipe_schemas::stages::train::TrainParams;
use pipe_stage::{Context, PARENT_VARIABLE, StageError};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
pub(crate) use told::{hear_epoch, tell_epoch};

/// How long processes on this machine may take to start.
const START: Duration = Duration::from_mins(2);

/// How long the first process waits for those that are started elsewhere.
const START_ELSEWHERE: Duration = Duration::from_mins(15);

/// How long to look for the reason after a process was lost.
const REASON: Duration = Duration::from_secs(2);

/// The processes that train a network together, as the first of them sees them. Those on this machine end with it.
#[derive(Debug)]
pub(crate) struct Processes {
    /// `None` if this process trains alone.
    group: Option<Arc<ProcessGroup>>,
    children: Vec<Child>,
    /// Number of threads of each process.
    pub(crate) threads: usize,
}

impl Processes {
    /// Starts the processes that `num_processes` asks for, or waits for them, and gives them the request.
    pub(crate) fn start(context: &Context, params: &TrainParams) -> Result<Self, StageError> {
        let world_size = params.num_processes.0;
        let elsewhere = Rendezvous::from_variables(|name| context.variable(name)).map_err(Stopped::from_group)?;
        check_world_size(elsewhere.as_ref(), world_size)?;
        if world_size == 1 {
            return Ok(Self { group: None, children: Vec::new(), threads: context.threads() });
        }
        let threads = threads_of_each(context.threads(), world_size, elsewhere.is_some());
        let (mut children, wait) = (Vec::new(), if elsewhere.is_some() { START_ELSEWHERE } else { START });
        let (listener, rendezvous) = if let Some(rendezvous) = elsewhere {
            (listen(rendezvous.master).map_err(Stopped::from_group)?, rendezvous)
        } else {
            let (listener, rendezvous) = Rendezvous::on_this_machine(world_size).map_err(Stopped::from_group)?;
            let program = context.program().ok_or_else(|| {
                StageError::message("the program of the worker is unknown, so that no other process can be started")
            })?;
            children = start_children(program, &rendezvous)?;
            (listener, rendezvous)
        };
        let mut processes = Self { group: None, children, threads };
        let group = ProcessGroup::host::<StageError>(&rendezvous, listener, wait, || {
            context.check_cancelled()?;
            processes.reason(true).map_or(Ok(()), |(rank, how)| Err(TrainError::ProcessEnded { rank, how }.into()))
        })?;
        let told = group.tell(join::REQUEST, &join::shared(context.request(), threads)?);
        processes.group = Some(Arc::new(group));
        told.map_err(|error| processes.explain(Stopped::from_group(error)))?;
        Ok(processes)
    }

    /// Returns the group; `None` if this process trains alone.
    pub(crate) fn group(&self) -> Option<&Arc<ProcessGroup>> {
        self.group.as_ref()
    }

    /// Waits until the others have heard everything; those on this machine may end then.
    pub(crate) fn finish(mut self) -> Result<(), StageError> {
        let waited = self.group.as_ref().map_or(Ok(()), |group| group.barrier());
        waited.map_err(|error| self.explain(Stopped::from_group(error)))
    }

    /// Returns why another process was lost, if `error` is that one was lost; otherwise `error`.
    pub(crate) fn explain(&mut self, error: StageError) -> StageError {
        if !is_lost(&error) {
            return error;
        }
        let help = "run again: training continues after the last complete epoch";
        let until = Instant::now() + REASON;
        loop {
            let is_late = Instant::now() >= until;
            if let Some((rank, how)) = self.reason(is_late) {
                return StageError::from(TrainError::ProcessEnded { rank, how }).with_help(help);
            }
            if is_late {
                return error.with_help(help);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns which process has failed by itself, and how; with `any`, also one that may have ended because of another one.
    fn reason(&mut self, any: bool) -> Option<(u32, String)> {
        let told = |rank: u32| {
            let text = self.group.as_ref()?.heard(&error_key(rank), Duration::from_millis(1)).ok()??;
            Some((rank, String::from_utf8_lossy(&text).into_owned()))
        };
        if let Some(found) = (1..).zip(&self.children).find_map(|(rank, _)| told(rank)) {
            return Some(found);
        }
        let ended = |(rank, child): (u32, &mut Child)| {
            let status = child.try_wait().ok()??;
            (any || status.signal().is_some()).then(|| (rank, format!("it ended with {status}")))
        };
        (1..).zip(&mut self.children).find_map(ended)
    }
}

/// The others on this machine are of no use without the first one.
impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns the number of threads of each process: they share those of a machine.
pub(crate) fn threads_of_each(granted: usize, num_processes: u32, elsewhere: bool) -> usize {
    if elsewhere { granted.max(1) } else { (granted / num_processes.max(1) as usize).max(1) }
}

/// Returns the number of threads that training computes with.
pub(crate) fn compute_threads(params: &TrainParams, granted: usize) -> usize {
    params.threads.map_or(granted, |threads| threads as usize)
}

fn check_world_size(elsewhere: Option<&Rendezvous>, num_processes: u32) -> Result<(), StageError> {
    match elsewhere {
        Some(Rendezvous { world_size, .. }) if *world_size != num_processes => {
            let error = TrainError::WorldSize { world_size: *world_size, num_processes };
            Err(StageError::from(error)
                .with_help(format!("set `num_processes: {world_size}`, or unset `RANK` and `WORLD_SIZE`")))
        }
        Some(Rendezvous { rank, .. }) if *rank != 0 => Err(StageError::from(TrainError::NotFirst { rank: *rank })
            .with_help("run `pipe` where `RANK` is 0, and `pipe-torch-worker --join` in the other processes")),
        Some(_) | None => Ok(()),
    }
}

fn start_children(program: &Path, rendezvous: &Rendezvous) -> Result<Vec<Child>, StageError> {
    let start = |rank| {
        let mut command = Command::new(program);
        command.arg(JOIN_ONCE_FLAG).arg(START.as_secs().to_string());
        command.envs(rendezvous.variables(rank)).env(PARENT_VARIABLE, std::process::id().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()
    };
    let mut children = Vec::new();
    for rank in 1..rendezvous.world_size {
        match start(rank) {
            Ok(child) => children.push(child),
            Err(error) => {
                // Those that were started end.
                drop(Processes { group: None, children, threads: 1 });
                return Err(error.into());
            }
        }
    }
    Ok(children)
}

/// Returns whether an error is that the connection to another process broke.
pub(super) fn is_lost(error: &StageError) -> bool {
    let of_learner = matches!(error.downcast_ref(), Some(LearnError::Group(_)));
    of_learner || error.downcast_ref::<GroupError>().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_one_machine_share_its_threads() {
        assert_eq!([1, 2, 3, 8].map(|count| threads_of_each(4, count, false)), [4, 2, 1, 1]);
        assert_eq!(threads_of_each(4, 8, true), 4);
    }

    #[test]
    fn the_environment_and_the_parameters_agree() {
        let at = |rank, world_size| Rendezvous { rank, world_size, master: ([127, 0, 0, 1], 29500).into() };
        let check = |elsewhere: Option<Rendezvous>, num_processes, expect: Option<&str>| {
            let error = check_world_size(elsewhere.as_ref(), num_processes).err();
            assert_eq!(error.map(|error| error.chain().remove(0)).as_deref(), expect);
        };
        check(None, 4, None);
        check(Some(at(0, 4)), 4, None);
        check(Some(at(0, 4)), 1, Some("`WORLD_SIZE` is 4, but `num_processes` is 1"));
        check(Some(at(2, 4)), 4, Some("this process has `RANK` 2, but `pipe` is run by the first process"));
    }
}
