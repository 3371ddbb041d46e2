//! `pipe-infer-worker`: runs the stage `predict`, which needs FFmpeg and inference engines. With `--predict` it does a job of
//! `pipe predict`, with `--serve` it is the server of `pipe serve`.

mod predict;
mod serve;

use pipe_infer::{InferenceEngine, Libraries, load};
use pipe_schemas::Tool;
use pipe_stage::AnyStage::Whole;
use pipe_stage::protocol::Request;
use pipe_stage::{Environment, WorkerInfo};
use pipe_stage_predict::Predict;
use std::collections::BTreeMap;
use std::process::ExitCode;

fn main() -> ExitCode {
    let libraries = Libraries::find(|name| std::env::var_os(name));
    if std::env::args_os().nth(1).is_some_and(|flag| flag == "--predict") {
        return predict::main(&libraries);
    }
    if std::env::args_os().nth(1).is_some_and(|flag| flag == "--serve") {
        return serve::main(&libraries);
    }
    pipe_stage::serve(|| {
        let stage: &'static Predict = Box::leak(Box::new(Predict { libraries: libraries.clone() }));
        WorkerInfo {
            stages: vec![Whole(stage)],
            tools: tools(&libraries),
            jobs: vec![pipe_stage_predict::JOB, pipe_stage_predict::STREAM_JOB, pipe_stage_predict::ANNOTATE_JOB],
            environment,
        }
    })
}

/// Returns the versions of the libraries; a missing engine is an error only where it is used. A helper of this worker needs none.
fn tools(libraries: &Libraries) -> BTreeMap<String, String> {
    let is_helper = std::env::args_os().nth(1).is_some_and(|flag| flag == "--helper");
    let version = |engine| {
        if is_helper {
            return String::new();
        }
        load(engine, libraries).map_or("missing".to_owned(), |engine| engine.version().to_owned())
    };
    BTreeMap::from([
        (Tool::Ffmpeg.name().to_owned(), pipe_video::ffmpeg_version()),
        (Tool::LibjpegTurbo.name().to_owned(), pipe_pixels::libjpeg_turbo_version().to_owned()),
        (Tool::OnnxRuntime.name().to_owned(), version(InferenceEngine::OnnxRuntime)),
        (Tool::OpenVino.name().to_owned(), version(InferenceEngine::OpenVino)),
    ])
}

/// A variable that replaces the processor in the environment of results, for tests.
const TEST_ENVIRONMENT: &str = "PIPE_TEST_ENVIRONMENT";

/// Returns what the bits of results depend on here.
fn environment(request: &Request) -> Environment {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut environment = pipe_stage::environment(&request.grant, variable);
    if let Some(processor) = variable(TEST_ENVIRONMENT) {
        environment.insert("processor".to_owned(), processor);
    }
    environment
}
