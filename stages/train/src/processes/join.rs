//! [`join`]: the main function of the processes other than the first.

use super::is_lost;
use crate::epochs;
use pipe_learn::{GroupError, ProcessGroup, Rendezvous};
use pipe_stage::protocol::{PROTOCOL_VERSION, Reply, Request, Task};
use pipe_stage::{Context, StageError};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The argument before the number of seconds to wait for the first process.
pub const JOIN_FLAG: &str = "--join";

/// The same for a process that takes part in a single training.
pub const JOIN_ONCE_FLAG: &str = "--join-once";

/// The key of the request in the store of the group.
pub(super) const REQUEST: &str = "request";

/// How long to wait before the next attempt.
const PAUSE: Duration = Duration::from_millis(200);

/// Returns the key of the text why a process ends.
pub(super) fn error_key(rank: u32) -> String {
    format!("error/{rank}")
}

/// Why a process can't take part.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The environment does not say where.
    #[error("the environment variables RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are not set")]
    NoVariables,
    /// The first process starts the others.
    #[error("RANK is 0: the first process is `pipe`, which the others join")]
    First,
    /// The group can't be formed.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The first process passes on something that is not a request.
    #[error("what the first process passes on is not a request of this version: {0}")]
    Request(String),
    /// Training failed.
    #[error("{0}")]
    Stage(String),
}

/// Returns the request as the first process passes it on to processes with `threads` threads each.
pub(super) fn shared(request: &Request, threads: usize) -> Result<Vec<u8>, StageError> {
    let mut request = request.clone();
    request.grant.threads = threads;
    Ok(serde_json::to_vec(&request)?)
}

fn parse(text: &[u8], group: &ProcessGroup) -> Result<Request, JoinError> {
    let mut request: Request = serde_json::from_slice(text).map_err(|error| JoinError::Request(error.to_string()))?;
    let Request { protocol, version, ref kind, .. } = request;
    let contract = &pipe_schemas::stages::train::CONTRACT;
    if protocol != PROTOCOL_VERSION || version != contract.version || *kind != contract.kind {
        let found = format!("protocol {protocol}, `{kind}` version {version}; install the same build everywhere");
        return Err(JoinError::Request(found));
    }
    (request.grant.rank, request.grant.world_size) = (group.rank(), group.world_size());
    Ok(request)
}

/// Takes part in one training after the other, or in a single one. Waits up to `wait` for the first process of each; ends without an error
/// if there was one before.
///
/// # Errors
/// [`JoinError`] if the first process does not come, or training fails.
pub fn join(variable: impl Fn(&str) -> Option<String>, wait: Duration, once: bool) -> Result<(), JoinError> {
    let rendezvous = Rendezvous::from_variables(variable)?.ok_or(JoinError::NoVariables)?;
    if rendezvous.rank == 0 {
        return Err(JoinError::First);
    }
    let (mut num_done, mut since) = (0, Instant::now());
    loop {
        match take_part(&rendezvous, wait.saturating_sub(since.elapsed())) {
            Ok(()) if once => return Ok(()),
            Ok(()) => (num_done, since) = (num_done + 1, Instant::now()),
            // The first process of the training before may still listen for a moment.
            Err(JoinError::Group(_)) if since.elapsed() < wait => std::thread::sleep(PAUSE),
            Err(JoinError::Group(_)) if num_done > 0 => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Takes part in one training.
fn take_part(rendezvous: &Rendezvous, wait: Duration) -> Result<(), JoinError> {
    let group = Arc::new(ProcessGroup::join(rendezvous, wait.max(PAUSE))?);
    let text = group.hear(REQUEST, || Ok::<(), GroupError>(()))?;
    let request = parse(&text, &group)?;
    let Task::Make(parts) = request.task.clone() else { return Err(JoinError::Request("it makes no epochs".into())) };
    let context = Context::new(request, Arc::default(), |reply| {
        if let Reply::Warning { text } = reply {
            log(&text);
        }
    });
    let done = epochs::make_as_another(&context, &parts, &group);
    done.map_err(|error| {
        let text = error.chain().join(": ");
        if !is_lost(&error) {
            // If the first process has ended, nobody is there to be told.
            let _ = group.tell(&error_key(group.rank()), text.as_bytes());
        }
        JoinError::Stage(text)
    })
}

#[expect(clippy::print_stderr, reason = "a worker's stderr is the stage's log")]
fn log(text: &str) {
    eprintln!("{text}");
}
