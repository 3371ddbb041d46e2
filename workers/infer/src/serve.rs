//! [`main`]: the HTTP server of `pipe serve`. Each connection is a task; [`handler`] answers its requests.

mod counters;
mod handler;
mod query;

use crate::predict::{classifiers, failed, write};
use handler::Service;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use pipe_infer::Libraries;
use pipe_stage::StageError;
use pipe_stage::protocol::predict::{PredictReply, ServeJob, ServeReply};
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

/// Longest time for the head of a request.
const HEAD_SECS: u64 = 10;

/// Pause after a connection could not be accepted, for example because the process has too many files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Reads a job from stdin, and serves until stdin closes.
pub(crate) fn main(libraries: &Libraries) -> ExitCode {
    let mut replies = match pipe_stage::start() {
        Ok(file) => file,
        Err(code) => return code,
    };
    let last = match run(libraries, &mut replies) {
        Ok(num_requests) => ServeReply::Stopped { num_requests },
        Err(error) => match failed(&error) {
            PredictReply::Failed { error, causes, help } => ServeReply::Failed { error, causes, help },
            _ => return ExitCode::FAILURE,
        },
    };
    if write(&mut replies, &last).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(libraries: &Libraries, replies: &mut File) -> Result<u64, StageError> {
    let mut stdin = io::BufReader::new(io::stdin());
    let mut line = String::new();
    stdin.read_line(&mut line)?;
    let job: ServeJob = serde_json::from_str(&line)?;
    let root = job.root.as_ref().map(fs_err::canonicalize).transpose()?;
    // Requests use the network in turn.
    let (mut classifiers, engine) = classifiers(&job.model, libraries, 1)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(job.model.threads + 1)
        .enable_io()
        .enable_time()
        .build()?;
    let (stop, stopped) = oneshot::channel();
    // `pipe` closes stdin to stop the server. The system closes it when `pipe` ends for another reason.
    std::thread::Builder::new().name("stop".into()).spawn(move || {
        let _ = stdin.read_to_end(&mut Vec::new());
        let _ = stop.send(());
    })?;
    let listener = runtime.block_on(TcpListener::bind(&job.address)).map_err(|error| {
        let help = (error.kind() == io::ErrorKind::AddrInUse).then_some("use another port, such as `--port 8001`");
        StageError::message(format!("can't listen on {}: {error}", job.address)).with_optional_help(help)
    })?;
    let address = listener.local_addr()?.to_string();
    write(replies, &ServeReply::Listening { address, engine: engine.clone() })?;
    let service = Arc::new(Service::new(&job, root, classifiers.remove(0), engine)?);
    runtime.block_on(accept(&listener, &service, &job, stopped));
    let num_requests = service.num_requests();
    // A video that is still decoded after its time is not waited for.
    runtime.shutdown_background();
    Ok(num_requests)
}

/// Serves connections until `stopped`, and then waits for the requests that have begun.
async fn accept(listener: &TcpListener, service: &Arc<Service>, job: &ServeJob, mut stopped: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(job.max_connections));
    loop {
        // Further connections wait in the queue of the system.
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = &mut stopped => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let service = Arc::clone(service);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(HEAD_SECS))
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request| {
                    let service = Arc::clone(&service);
                    async move { Ok::<_, std::convert::Infallible>(service.respond(request).await) }
                }),
            );
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // An error is one of the client: it closed the connection, or sent something else than HTTP.
            let _ = connection.await;
            drop(place);
        });
    }
    let _ = tokio::time::timeout(Duration::from_secs(job.timeout_secs), graceful.shutdown()).await;
}
