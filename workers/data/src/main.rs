//! `pipe-data-worker`: runs the stages that need neither libtorch nor an inference engine, and compares files of results,
//! see [`compare`].

mod compare;

use pipe_schemas::{Tolerance, Tool};
use pipe_stage::AnyStage::{Parted, Whole};
use pipe_stage::{Environment, WorkerInfo, serve};
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsStr;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    match args.as_slice() {
        [_, flag, one, two] if flag == "--diff" => {
            let difference = compare::difference(one.as_ref(), two.as_ref());
            return print_difference(difference, "the content is the same, how it is written is not");
        }
        [_, flag, relative, absolute, one, two] if flag == "--compare" => {
            let Some(tolerance) = tolerance(relative, absolute) else {
                return print_difference(Err("the tolerance is not two numbers".into()), "");
            };
            return print_difference(compare::difference_beyond(one.as_ref(), two.as_ref(), tolerance), "");
        }
        _ => {}
    }
    serve(|| WorkerInfo {
        stages: vec![
            Whole(&pipe_stage_synthesize::Synthesize),
            Whole(&pipe_stage_fetch::Fetch),
            Parted(&pipe_stage_ingest::Ingest),
            Whole(&pipe_stage_annotations::Annotations),
            Parted(&pipe_stage_frames::Frames),
            Parted(&pipe_stage_augment::Augment),
            Whole(&pipe_stage_fuse::Fuse),
            Whole(&pipe_stage_compare::Compare),
        ],
        tools: BTreeMap::from([
            (Tool::Ffmpeg.name().to_owned(), pipe_video::ffmpeg_version()),
            (Tool::LibjpegTurbo.name().to_owned(), pipe_pixels::libjpeg_turbo_version().to_owned()),
        ]),
        jobs: vec![pipe_stage_ingest::JOB, pipe_stage_frames::JOB],
        // The figures of `fuse` and `compare` depend on the last bit of logarithms at most; the other stages are exact.
        environment: |_| Environment::new(),
    })
}

/// Prints where two files differ first. The line is empty if they do not differ beyond a tolerance.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "with these flags, it is a program of its own")]
fn print_difference(difference: Result<Option<String>, Box<dyn Error>>, equal: &str) -> ExitCode {
    match difference {
        Ok(difference) => {
            println!("{}", difference.as_deref().unwrap_or(equal));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tolerance(relative: &OsStr, absolute: &OsStr) -> Option<Tolerance> {
    let number = |text: &OsStr| text.to_str()?.parse().ok();
    Some(Tolerance { relative: number(relative)?, absolute: number(absolute)? })
}
