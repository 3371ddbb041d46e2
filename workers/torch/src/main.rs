//! `pipe-torch-worker`: runs the stages that need libtorch; some of them also use ONNX Runtime, OpenVINO or FFmpeg. With `--join`, it is one
//! process of a training with several.

use pipe_infer::{InferenceEngine, Libraries, load};
use pipe_learn::{COMPUTE_THREADS, find_cuda, restart_with_settings};
use pipe_schemas::Tool;
use pipe_stage::AnyStage::{Parted, Whole};
use pipe_stage::protocol::{Grant, Request};
use pipe_stage::{Environment, WorkerInfo, die_with_parent, serve};
use pipe_stage_benchmark::Benchmark;
use pipe_stage_evaluate::Evaluate;
use pipe_stage_export::Export;
use pipe_stage_optimize::Optimize;
use pipe_stage_train::{JOIN_FLAG, JOIN_ONCE_FLAG, join};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Version of the linked libtorch, from its file `build-version`. libtorch does not report it at run time.
const LIBTORCH_VERSION: &str = match option_env!("LIBTORCH_VERSION") {
    Some(version) => version,
    None => "unknown",
};

/// A variable that replaces the processor in the environment of results. With it, tests check what happens on a processor that
/// no golden value or lock file knows.
const TEST_ENVIRONMENT: &str = "PIPE_TEST_ENVIRONMENT";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let info_only = args.get(1).is_some_and(|arg| arg == "--info");
    if !info_only {
        restart_with_settings();
    }
    if !info_only {
        find_cuda(cuda_library());
    }
    if args.get(1).is_some_and(|arg| arg == JOIN_FLAG || arg == JOIN_ONCE_FLAG) {
        return join_training(&args[1..]);
    }
    serve(|| {
        let libraries = Libraries::find(|name| std::env::var_os(name));
        // A missing engine is an error only where it is used.
        let version =
            |engine| load(engine, &libraries).map_or("missing".to_owned(), |engine| engine.version().to_owned());
        let (onnx_version, openvino_version) =
            (version(InferenceEngine::OnnxRuntime), version(InferenceEngine::OpenVino));
        let optimize: &'static Optimize =
            Box::leak(Box::new(Optimize { onnx_runtime: libraries.onnx_runtime.clone() }));
        let export: &'static Export =
            Box::leak(Box::new(Export { onnx_runtime: libraries.onnx_runtime.clone(), libtorch: LIBTORCH_VERSION }));
        let benchmark: &'static Benchmark = Box::leak(Box::new(Benchmark { libraries: libraries.clone() }));
        let evaluate: &'static Evaluate = Box::leak(Box::new(Evaluate { libraries: libraries.clone() }));
        WorkerInfo {
            stages: vec![
                Parted(&pipe_stage_train::Train),
                Whole(&pipe_stage_train::LrFinder),
                Whole(&pipe_stage_pretrained::Pretrained),
                Whole(evaluate),
                Whole(&pipe_stage_explain::Explain),
                Whole(optimize),
                Whole(benchmark),
                Whole(export),
            ],
            tools: BTreeMap::from([
                (Tool::Libtorch.name().to_owned(), LIBTORCH_VERSION.to_owned()),
                (Tool::LibjpegTurbo.name().to_owned(), pipe_pixels::libjpeg_turbo_version().to_owned()),
                (Tool::Ffmpeg.name().to_owned(), pipe_video::ffmpeg_version()),
                (Tool::OnnxRuntime.name().to_owned(), onnx_version),
                (Tool::OpenVino.name().to_owned(), openvino_version),
            ]),
            jobs: vec![pipe_stage_benchmark::JOB],
            environment,
        }
    })
}

/// How long `--join` waits by default.
const JOIN_SECS: u64 = 3600;

/// Trains together with other processes, as one that is not the first: `--join [SECONDS]`.
fn join_training(args: &[String]) -> ExitCode {
    let wait = match args {
        [_] => Some(JOIN_SECS),
        [_, secs] => secs.parse().ok(),
        _ => None,
    };
    let Some(wait) = wait else { return failure("expected `--join` and the number of seconds to wait") };
    match die_with_parent() {
        Err(error) => return failure(&format!("the process can't be tied to its parent: {error}")),
        Ok(false) => return ExitCode::FAILURE,
        Ok(true) => {}
    }
    let joined = join(|name| std::env::var(name).ok(), Duration::from_secs(wait), args[0] == JOIN_ONCE_FLAG);
    joined.map_or_else(|error| failure(&error.to_string()), |()| ExitCode::SUCCESS)
}

#[expect(clippy::print_stderr, reason = "it is the log of the first process, or seen by the user who started this one")]
fn failure(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Returns what the bits of results depend on here.
fn environment(request: &Request) -> Environment {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let grant = match request.kind.as_str() {
        "train" | "lr_finder" => pipe_stage_train::computes_with(request, variable("WORLD_SIZE").is_some()),
        _ => Grant::cpu(COMPUTE_THREADS as usize),
    };
    let mut environment = pipe_stage::environment(&grant, variable);
    if let Some(processor) = variable(TEST_ENVIRONMENT) {
        environment.insert("processor".to_owned(), processor);
    }
    environment
}

/// Returns the path of libtorch's library for GPUs: `LIBTORCH_CUDA`, else where `cargo xtask setup --cuda` puts it.
fn cuda_library() -> PathBuf {
    let set = std::env::var_os("LIBTORCH_CUDA").filter(|path| !path.is_empty());
    set.map_or_else(|| cache().join("pipe/libtorch-cuda-2.13.0/torch/lib/libtorch_cuda.so"), PathBuf::from)
}

/// Returns the folder of caches of the user.
fn cache() -> PathBuf {
    let absolute = |path: &PathBuf| path.is_absolute();
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(absolute);
    let home = || std::env::var_os("HOME").map_or(PathBuf::from("/"), PathBuf::from).join(".cache");
    cache.unwrap_or_else(home)
}
