//! [`run`]: starts `pipe-infer-worker` for a job, and passes on its replies.

use crate::context;
use crate::error::CommandError;
use pipe_schemas::Worker;
use pipe_stage::protocol::predict::{PredictJob, PredictReply};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Runs a job to its end. The worker ends with this process, also if that is stopped by Ctrl-C.
pub(super) fn run(
    job: &PredictJob,
    mut on_reply: impl FnMut(PredictReply) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let mut worker = start("--predict")?;
    let mut line = serde_json::to_vec(job)?;
    line.push(b'\n');
    let (Some(mut jobs), Some(replies)) = (worker.stdin.take(), worker.stdout.take()) else {
        return Err(CommandError::failed("the worker has no pipes"));
    };
    // If the worker has ended, its replies end too.
    let _ = jobs.write_all(&line);
    for line in BufReader::new(replies).lines() {
        let reply: PredictReply = serde_json::from_str(&line?)?;
        match reply {
            PredictReply::Finished => return Ok(()),
            PredictReply::Failed { error, causes, help } => return Err(failure(&error, &causes, help.as_deref())),
            reply @ (PredictReply::Ready { .. }
            | PredictReply::Row(_)
            | PredictReply::Event { .. }
            | PredictReply::VideoDone) => on_reply(reply)?,
        }
    }
    Err(ended(worker.wait()?))
}

/// Starts the worker with a flag.
fn start(flag: &str) -> Result<Child, CommandError> {
    let program = context::executables()?.workers.join(Worker::Infer.program());
    let started = Command::new(&program)
        .arg(flag)
        .env(pipe_stage::PARENT_VARIABLE, std::process::id().to_string())
        .process_group(0) // Ctrl-C on the terminal is for `pipe` to handle
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    started.map_err(|error| {
        let text = format!(
            "{} can't be started: {error}; install `pipe` and its workers from the same build",
            program.display()
        );
        CommandError::failed(text)
    })
}

/// Returns the error that a worker reported.
fn failure(error: &str, causes: &[String], help: Option<&str>) -> CommandError {
    let mut text = error.to_owned();
    for cause in causes {
        text += &format!("\n  caused by: {cause}");
    }
    text += &help.map(|help| format!("\n  help: {help}")).unwrap_or_default();
    CommandError::failed(text)
}

fn ended(status: ExitStatus) -> CommandError {
    CommandError::failed(format!("pipe-infer-worker ended without a reply ({status}); its last messages are above"))
}
