//! `pipe-torch-worker`: runs the stages that need libtorch or ONNX Runtime.

use pipe_infer::Runtime;
use pipe_learn::{COMPUTE_THREADS, restart_with_settings};
use pipe_schemas::Tool;
use pipe_stage::AnyStage::{Parted, Whole};
use pipe_stage::protocol::Grant;
use pipe_stage::{Environment, WorkerInfo, serve};
use pipe_stage_export::Export;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Version of the linked libtorch, from its file `build-version`. libtorch does not report it at run time.
const LIBTORCH_VERSION: &str = match option_env!("LIBTORCH_VERSION") {
    Some(version) => version,
    None => "unknown",
};

/// A variable that replaces the processor in the environment of results. With it, tests check what happens on a processor that
/// no golden value or lock file knows.
const TEST_ENVIRONMENT: &str = "PIPE_TEST_ENVIRONMENT";

fn main() -> ExitCode {
    let info_only = std::env::args().len() > 1;
    if !info_only {
        restart_with_settings();
    }
    serve(|| {
        let onnx_runtime = onnx_runtime();
        // Only `export` needs it, and reports an error if it is missing.
        let onnx_version =
            Runtime::load(&onnx_runtime).map_or("missing".to_owned(), |runtime| runtime.version().to_owned());
        let export: &'static Export = Box::leak(Box::new(Export { onnx_runtime }));
        WorkerInfo {
            stages: vec![
                Parted(&pipe_stage_train::Train),
                Whole(&pipe_stage_train::LrFinder),
                Whole(&pipe_stage_pretrained::Pretrained),
                Whole(&pipe_stage_evaluate::Evaluate),
                Whole(export),
            ],
            tools: BTreeMap::from([
                (Tool::Libtorch.name().to_owned(), LIBTORCH_VERSION.to_owned()),
                (Tool::LibjpegTurbo.name().to_owned(), pipe_pixels::libjpeg_turbo_version().to_owned()),
                (Tool::OnnxRuntime.name().to_owned(), onnx_version),
            ]),
            jobs: Vec::new(),
            environment,
        }
    })
}

/// Returns what the bits of results depend on here. `pipe-learn` computes on the CPU with a constant number of threads.
fn environment(_grant: &Grant) -> Environment {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut environment = pipe_stage::environment(&Grant::cpu(COMPUTE_THREADS as usize), variable);
    if let Some(processor) = variable(TEST_ENVIRONMENT) {
        environment.insert("processor".to_owned(), processor);
    }
    environment
}

/// Returns the path of ONNX Runtime: `ORT_DYLIB_PATH`, else where `cargo xtask setup` puts it.
fn onnx_runtime() -> PathBuf {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let absolute = |path: &PathBuf| path.is_absolute();
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(absolute);
    let home = || std::env::var_os("HOME").map_or(PathBuf::from("/"), PathBuf::from).join(".cache");
    cache.unwrap_or_else(home).join(Path::new("pipe/onnxruntime-1.31.1/libonnxruntime.so.1.31.1"))
}
