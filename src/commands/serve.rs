//! `pipe serve`.

mod view;

use super::Command;
use super::predict::{EngineArgs, worker};
use crate::error::CommandError;
use crate::exit::Code;
use clap::Args;
use pipe_stage::protocol::predict::{ServeJob, ServeReply};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Answer HTTP requests with the predictions of an exported network
///
/// `POST /predict` with a video as its body returns the top classes as JSON, as does `POST /predict?path=FILE` for a file below `--root`.
/// `GET /healthz` and `GET /metrics` (Prometheus) report the state. There is no encryption and no authentication: put it behind a proxy
/// that has both before you listen on other addresses than this machine's own. Ctrl-C answers the requests that have begun, and ends.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Exported network: an ONNX file that a stage `export` or `optimize` wrote
    model: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 chooses a free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Folder below which requests may name videos; without it they must upload them
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Maximum size of an uploaded video, in MB
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    max_upload: u64,
    /// Maximum time for a request, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Maximum number of connections; others wait
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    max_connections: u16,
    #[command(flatten)]
    engine: EngineArgs,
}

impl Command for Serve {
    const NAME: &'static str = "serve";

    fn run(self) -> Result<Code, CommandError> {
        if let Some(root) = self.root.as_ref().filter(|root| !root.is_dir()) {
            return Err(CommandError::bad_input(format!("the root {} is not a folder", root.display())));
        }
        let host = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let job = ServeJob {
            model: self.engine.job(self.model)?,
            address: format!("{host}:{}", self.port),
            root: self.root,
            max_upload_bytes: self.max_upload * 1_000_000,
            timeout_secs: self.timeout,
            max_connections: self.max_connections.into(),
        };
        serve(&job)
    }
}

/// Runs the worker until it stops. Ctrl-C and SIGTERM close its stdin, which stops it.
fn serve(job: &ServeJob) -> Result<Code, CommandError> {
    let mut server = worker::start("--serve")?;
    let mut line = serde_json::to_vec(job)?;
    line.push(b'\n');
    let pipes = (server.stdin.take(), server.stdout.take(), server.stderr.take());
    let (Some(mut stdin), Some(replies), Some(log)) = pipes else {
        return Err(CommandError::failed("the worker has no pipes"));
    };
    let log = std::thread::Builder::new().name("worker-log".into()).spawn(move || worker::last_lines(log))?;
    // If the worker has ended, its replies end too.
    let _ = stdin.write_all(&line);
    let stdin = Mutex::new(Some(stdin));
    let timeout_secs = job.timeout_secs;
    let is_listening = Arc::new(AtomicBool::new(false));
    let of_handler = Arc::clone(&is_listening);
    ctrlc::set_handler(move || {
        let open = stdin.lock().ok().and_then(|mut stdin| stdin.take());
        // Before it is closed, so that this line is the first of the two.
        if open.is_some() && of_handler.load(Ordering::Relaxed) {
            view::stopping(timeout_secs);
        }
    })?;
    for line in BufReader::new(replies).lines() {
        match serde_json::from_str(&line?)? {
            ServeReply::Listening { address, engine } => {
                view::listening(&address, &engine);
                is_listening.store(true, Ordering::Relaxed);
            }
            ServeReply::Stopped { num_requests } => {
                view::stopped(num_requests);
                return Ok(Code::Ok);
            }
            ServeReply::Failed { error, causes, help } => {
                return Err(CommandError::failed(worker::failure_text(&error, &causes, help.as_deref())));
            }
        }
    }
    Err(worker::ended(server.wait()?, &log.join().unwrap_or_default()))
}
