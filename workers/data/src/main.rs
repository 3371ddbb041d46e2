//! `pipe-data-worker`: runs the stages that need FFmpeg or polars. `--diff A B` says where two files differ first.

use pipe_schemas::Tool;
use pipe_stage::AnyStage::{Parted, Whole};
use pipe_stage::{WorkerInfo, serve};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if let [_, flag, one, two] = args.as_slice()
        && flag == "--diff"
    {
        return diff(one.as_ref(), two.as_ref());
    }
    serve(|| WorkerInfo {
        stages: vec![
            Whole(&pipe_stage_synthesize::Synthesize),
            Whole(&pipe_stage_fetch::Fetch),
            Parted(&pipe_stage_ingest::Ingest),
            Whole(&pipe_stage_annotations::Annotations),
            Parted(&pipe_stage_frames::Frames),
            Whole(&pipe_stage_augment::Augment),
        ],
        tools: BTreeMap::from([
            (Tool::Ffmpeg.name().to_owned(), pipe_video::ffmpeg_version()),
            (Tool::LibjpegTurbo.name().to_owned(), pipe_video::libjpeg_turbo_version().to_owned()),
        ]),
        jobs: vec![pipe_stage_ingest::JOB, pipe_stage_frames::JOB],
    })
}

/// Prints where two tables, or two files of tensors, differ first.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program of its own here")]
fn diff(one: &Path, two: &Path) -> ExitCode {
    let tensors = one.extension().is_some_and(|extension| extension == "safetensors");
    let difference = if tensors {
        pipe_weights::difference(one, two).map_err(Box::<dyn Error>::from)
    } else {
        pipe_tables::difference(one, two).map_err(Into::into)
    };
    match difference {
        Ok(difference) => {
            println!("{}", difference.as_deref().unwrap_or("the content is the same, how it is written is not"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
