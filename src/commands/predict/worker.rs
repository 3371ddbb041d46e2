//! [`run`]: starts `pipe-infer-worker` for a job, and passes on its replies.

use crate::context;
use crate::error::CommandError;
use crate::exit::Code;
use pipe_schemas::Worker;
use pipe_stage::protocol::predict::{PredictJob, PredictReply};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;

/// Number of lines of a worker's log that are shown if it crashes.
const LAST_LINES: usize = 10;

/// Runs a job to its end. The worker ends with this process, also if that is stopped by Ctrl-C. With a stream, Ctrl-C ends the stream.
pub(crate) fn run(
    job: &PredictJob,
    mut on_reply: impl FnMut(PredictReply) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let mut worker = start("--predict")?;
    let mut line = serde_json::to_vec(job)?;
    line.push(b'\n');
    let pipes = (worker.stdin.take(), worker.stdout.take(), worker.stderr.take());
    let (Some(mut jobs), Some(replies), Some(log)) = pipes else {
        return Err(CommandError::failed("the worker has no pipes"));
    };
    let log = std::thread::Builder::new().name("worker-log".into()).spawn(move || last_lines(log))?;
    // If the worker has ended, its replies end too.
    let _ = jobs.write_all(&line);
    if job.stream.is_some() {
        let jobs = Mutex::new(Some(jobs));
        ctrlc::set_handler(move || drop(jobs.lock().map(|mut jobs| jobs.take())))?;
    }
    for line in BufReader::new(replies).lines() {
        let reply: PredictReply = serde_json::from_str(&line?)?;
        match reply {
            PredictReply::Finished => {
                // Its time is that of this process for `time` and other accounting only if it is waited for.
                worker.wait()?;
                return Ok(());
            }
            PredictReply::Failed { error, causes, help } => {
                let text = failure_text(&error, &causes, help.as_deref());
                // The worker uses the same code as `pipe` for an argument that only it can check.
                let is_bad_input = worker.wait()?.code() == Some(Code::BadInput as i32);
                return Err(if is_bad_input { CommandError::bad_input(text) } else { CommandError::failed(text) });
            }
            reply => on_reply(reply)?,
        }
    }
    Err(ended(worker.wait()?, &log.join().unwrap_or_default()))
}

/// Starts the worker with a flag.
pub(crate) fn start(flag: &str) -> Result<Child, CommandError> {
    let program = context::executables()?.workers.join(Worker::Infer.program());
    let started = Command::new(&program)
        .arg(flag)
        .env(pipe_stage::PARENT_VARIABLE, std::process::id().to_string())
        .process_group(0) // Ctrl-C on the terminal is for `pipe` to handle
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped()) // FFmpeg writes many lines about a damaged video
        .spawn();
    started.map_err(|error| {
        let text = format!(
            "{} can't be started: {error}; install `pipe` and its workers from the same build",
            program.display()
        );
        CommandError::failed(text)
    })
}

/// Returns the error that a worker reported, with its causes and help.
pub(crate) fn failure_text(error: &str, causes: &[String], help: Option<&str>) -> String {
    let mut text = error.to_owned();
    for cause in causes {
        text += &format!("\n  caused by: {cause}");
    }
    text += &help.map(|help| format!("\n  help: {help}")).unwrap_or_default();
    text
}

/// Returns the last lines that a worker writes until it ends.
pub(crate) fn last_lines(log: impl Read) -> String {
    let mut last = VecDeque::new();
    // Lines may contain any bytes.
    for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(format!("\n  {}", String::from_utf8_lossy(&line)));
    }
    last.into_iter().collect()
}

pub(crate) fn ended(status: ExitStatus, last_lines: &str) -> CommandError {
    CommandError::failed(format!("pipe-infer-worker ended without a reply ({status}); its last lines:{last_lines}"))
}
