//! [`serve`]: the main function of a worker.

use crate::helper::{HELPER_FLAG, Job, JobLimits, help};
use crate::protocol::{Info, Made, Message, PROTOCOL_VERSION, Reply, Request, Task};
use crate::{AnyStage, Context, Environment, StageError, Summary};
use pipe_schemas::Numerics;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

/// The environment variable in which `pipe` passes its own process id to a worker.
pub const PARENT_VARIABLE: &str = "PIPE_PARENT";

/// The stages, libraries and jobs of a worker executable.
pub struct WorkerInfo {
    /// The stages it runs.
    pub stages: Vec<AnyStage>,
    /// Versions of its libraries, by [`pipe_schemas::Tool::name`].
    pub tools: BTreeMap<String, String>,
    /// The jobs that it does as a helper of itself.
    pub jobs: Vec<Job>,
    /// What the bits of its floating-point stages depend on; see [`crate::environment()`].
    pub environment: fn(&Request) -> Environment,
}

/// Runs requests from stdin until it closes. With `--info`, prints [`Info`]; with `--helper`, does jobs for another worker.
///
/// `info` is called after stdout was redirected, so that output of libraries does not disturb the protocol.
pub fn serve(info: impl FnOnce() -> WorkerInfo) -> ExitCode {
    let replies = match start() {
        Ok(file) => file,
        Err(code) => return code,
    };
    let worker = info();
    // The first argument is the path of the program, which may not be UTF-8.
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    if let [_, flag, name, memory_mb, cpu_secs, pieces] = args.as_slice()
        && flag == HELPER_FLAG
    {
        let job = worker.jobs.iter().find(|job| job.name == name);
        let (Some(job), Ok(memory_mb), Ok(cpu_secs), Ok(pieces)) =
            (job, memory_mb.parse(), cpu_secs.parse(), pieces.parse())
        else {
            return ExitCode::FAILURE;
        };
        let helped = help(*job, JobLimits { memory_mb, cpu_secs }, pieces, &replies);
        return if helped.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let replies = Arc::new(Mutex::new(replies));
    if args.get(1).is_some_and(|flag| flag == "--info") {
        let kinds = worker.stages.iter().filter_map(|stage| {
            pipe_schemas::stages::contract(stage.kind()).map(|contract| (contract.kind.to_owned(), contract.version))
        });
        let info = Info {
            protocol: PROTOCOL_VERSION,
            kinds: kinds.collect(),
            tools: worker.tools,
            libraries: loaded_libraries(),
        };
        return if write_line(&replies, &info).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let cancelled = Arc::new(AtomicBool::new(false));
    let requests = read_messages(BufReader::new(std::io::stdin()), Arc::clone(&cancelled));
    for request in requests {
        let id = request.id;
        let last = run(&worker, request, Arc::clone(&cancelled), Arc::clone(&replies));
        let last = last.unwrap_or_else(|error| failed(id, &error));
        if write_line(&replies, &last).is_err() {
            return ExitCode::FAILURE; // `pipe` has ended
        }
    }
    ExitCode::SUCCESS
}

/// Ends this process when its parent ends, whose number is in [`PARENT_VARIABLE`]. Returns whether the parent still runs.
pub fn die_with_parent() -> Result<bool, std::io::Error> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    // The parent may have died before that took effect.
    let parent = std::env::var(PARENT_VARIABLE).ok().and_then(|parent| parent.parse::<i32>().ok());
    Ok(parent.is_none_or(|parent| parent == nix::unistd::getppid().as_raw()))
}

/// Ties this process to `pipe`, and returns what was its stdout: the first act of a worker. All other output goes to stderr.
///
/// # Errors
/// The exit code, if `pipe` has ended or the system refuses.
pub fn start() -> Result<File, ExitCode> {
    // A worker must not outlive `pipe`, even if that is killed.
    match die_with_parent() {
        Err(error) => return Err(startup_failure("can't be tied to its parent", &error)),
        Ok(false) => return Err(ExitCode::FAILURE),
        Ok(true) => {}
    }
    take_stdout().map_err(|error| startup_failure("can't set up its output", &error))
}

/// Reserves stdout for replies. All other output goes to stderr, which is the stage's log.
fn take_stdout() -> Result<File, std::io::Error> {
    // Programs that this process starts do not inherit it, so that the pipe closes when this process ends.
    let replies = std::io::stdout().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdout(std::io::stderr())?;
    Ok(File::from(replies))
}

#[expect(clippy::print_stderr, reason = "no request has been read that a reply could answer")]
fn startup_failure(what: &str, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: the worker {what}: {error}");
    ExitCode::FAILURE
}

/// Reads messages on a separate thread, so that a running request can be cancelled.
fn read_messages(messages: impl BufRead + Send + 'static, cancelled: Arc<AtomicBool>) -> mpsc::Receiver<Request> {
    let (send, receive) = mpsc::sync_channel(1);
    let reader = move || {
        for line in messages.lines() {
            let Ok(line) = line else { return };
            match serde_json::from_str(&line) {
                Ok(Message::Run(request)) => {
                    // Here, because the next message may be a cancellation of this request before it starts to run.
                    cancelled.store(false, Ordering::Relaxed);
                    if send.send(*request).is_err() {
                        return;
                    }
                }
                Ok(Message::Cancel) => cancelled.store(true, Ordering::Relaxed),
                Err(error) => {
                    startup_failure("can't parse a message", &error);
                    return;
                }
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("messages".into()).spawn(reader) {
        startup_failure("can't start a thread", &error);
    }
    receive
}

/// Runs `request`, and returns its last reply.
fn run(
    worker: &WorkerInfo,
    request: Request,
    cancelled: Arc<AtomicBool>,
    replies: Arc<Mutex<File>>,
) -> Result<Reply, StageError> {
    if request.protocol != PROTOCOL_VERSION {
        let text = format!("`pipe` uses protocol {}, this worker uses protocol {PROTOCOL_VERSION}", request.protocol);
        return Err(StageError::message(text).with_help("install `pipe` and its workers from the same build"));
    }
    let Some(stage) = worker.stages.iter().find(|stage| stage.kind() == request.kind) else {
        return Err(StageError::message(format!("this worker has no stage `{}`", request.kind)));
    };
    let context = Context::new(request, cancelled, move |reply| {
        // If a reply can't be written, `pipe` has ended; then stdin closes, and that ends the worker.
        let _ = write_line(&replies, &reply);
    });
    let context = context.with_variables(|name| std::env::var(name).ok());
    let context = match std::env::current_exe() {
        Ok(program) => context.with_helper_program(program),
        Err(_) => context,
    };
    let known = pipe_schemas::stages::contract(stage.kind()).map(|contract| contract.version);
    if known != Some(context.request().version) {
        let text = format!("`pipe` uses version {} of `{}`", context.request().version, stage.kind());
        return Err(StageError::message(format!("{text}, this worker has version {}", known.unwrap_or_default()))
            .with_help("install `pipe` and its workers from the same build"));
    }
    report_environment(worker, &context);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(*stage, &context))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(StageError::message(format!("the stage panicked: {text}"))
            .with_help("this is a bug in `pipe`; please report it with the stage's log"))
    })
}

/// Reports what the bits of a floating-point result depend on, with the versions of the libraries.
fn report_environment(worker: &WorkerInfo, context: &Context) {
    let request = context.request();
    let Some(contract) = pipe_schemas::stages::contract(&request.kind) else { return };
    match contract.numerics {
        Numerics::Exact => {}
        Numerics::FloatingPoint(_) | Numerics::Measured(_) => {
            let mut values = (worker.environment)(request);
            let versions = contract.tools.iter().map(|tool| tool.name().to_owned());
            values.extend(versions.filter_map(|name| Some((name.clone(), worker.tools.get(&name)?.clone()))));
            context.reply(Reply::Environment { values });
        }
    }
}

fn act(stage: AnyStage, context: &Context) -> Result<Reply, StageError> {
    let id = context.request().id;
    let finished = |summary: Summary| Reply::Finished { id, summary };
    match (stage, &context.request().task) {
        (AnyStage::Whole(stage), Task::Whole) => stage.run(context).map(finished),
        (AnyStage::Parted(stage), Task::Plan) => Ok(Reply::Planned { id, parts: stage.plan(context)? }),
        (AnyStage::Parted(stage), Task::Make(parts)) => {
            let chain_ended = stage.make(context, parts)? == Made::ChainEnded;
            Ok(Reply::Made { id, chain_ended })
        }
        (AnyStage::Parted(stage), Task::Assemble { parts }) => stage.assemble(context, parts).map(finished),
        (AnyStage::Whole(_), _) => Err(StageError::message(format!("`{}` has no parts", stage.kind()))),
        (AnyStage::Parted(_), Task::Whole) => {
            Err(StageError::message(format!("`{}` can only be made in parts", stage.kind())))
        }
    }
}

fn failed(id: u64, error: &StageError) -> Reply {
    if let Some(part) = error.needed_state() {
        return Reply::StateNeeded { id, part: part.to_owned() };
    }
    let mut causes = error.chain();
    let text = causes.remove(0);
    let help = error.help().map(str::to_owned);
    Reply::Failed { id, error: text, causes, help, cancelled: error.is_cancelled() }
}

fn write_line(replies: &Mutex<File>, value: &impl serde::Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut file = replies.lock().unwrap_or_else(PoisonError::into_inner);
    file.write_all(&line)
}

/// Returns the shared libraries in this process whose versions determine bytes.
fn loaded_libraries() -> Vec<PathBuf> {
    libraries_in(&fs_err::read("/proc/self/maps").unwrap_or_default())
}

/// Returns the libraries in a list of mapped files, as in `/proc/self/maps`: the path is the last column.
fn libraries_in(maps: &[u8]) -> Vec<PathBuf> {
    let ours = ["libav", "libsw", "libtorch", "libc10", "libonnxruntime"];
    let path = |line: &[u8]| {
        let start = line.iter().position(|byte| *byte == b'/')?;
        Some(PathBuf::from(OsStr::from_bytes(&line[start..])))
    };
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_bytes();
        ours.iter().any(|our| name.starts_with(our.as_bytes()))
    };
    let unique: BTreeSet<PathBuf> = maps.split(|byte| *byte == b'\n').filter_map(path).filter(is_ours).collect();
    unique.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Grant;

    #[test]
    fn a_cancellation_belongs_to_the_request_before_it() {
        let request = Request {
            protocol: PROTOCOL_VERSION,
            id: 7,
            kind: "train".into(),
            version: 1,
            task: Task::Plan,
            params: serde_json::Value::Null,
            inputs: BTreeMap::new(),
            sources: BTreeMap::new(),
            output: "/o".into(),
            scratch: "/s".into(),
            downloads: "/d".into(),
            diagnostics: "/e".into(),
            grant: Grant::devices(1, Vec::new()),
        };
        let line = |message: &Message| serde_json::to_string(message).expect("JSON") + "\n";
        let (run, cancel) = (line(&Message::Run(Box::new(request))), line(&Message::Cancel));
        for (messages, expect) in [
            (format!("{run}{cancel}"), true),
            (format!("{run}{cancel}{run}"), false),
            (format!("{cancel}{run}"), false),
            (format!("{run}{run}{cancel}"), true),
        ] {
            let cancelled = Arc::new(AtomicBool::new(false));
            let requests = read_messages(std::io::Cursor::new(messages.clone()), Arc::clone(&cancelled));
            // The end comes after all messages were read.
            assert!(requests.iter().all(|request| request.id == 7), "{messages}");
            assert_eq!(cancelled.load(Ordering::Relaxed), expect, "{messages}");
        }
    }

    #[test]
    fn libraries_are_found_in_folders_of_any_name() {
        let line = |path: &[u8]| [b"7f00-7f01 r-xp 00000000 fe:00 1234           ", path, b"\n"].concat();
        let paths: [&[u8]; 4] =
            [b"/my libs/libtorch_cpu.so", b"/caf\xe9/libavutil.so.59", b"/lib/libc.so.6", b"[stack]"];
        let maps = paths.map(line).concat();
        let found = libraries_in(&[maps.as_slice(), b"7f00-7f01 rw-p 00000000 00:00 0\n"].concat());
        let expect = [paths[1], paths[0]].map(|path| PathBuf::from(OsStr::from_bytes(path)));
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(expect));
    }
}
