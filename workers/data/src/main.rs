//! `pipe-data-worker`: runs the stages that need FFmpeg or polars.

use pipe_schemas::Tool;
use pipe_stage::AnyStage::{Parted, Whole};
use pipe_stage::{WorkerInfo, serve};
use std::collections::BTreeMap;
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(|| WorkerInfo {
        stages: vec![
            Whole(&pipe_stage_synthesize::Synthesize),
            Whole(&pipe_stage_ingest::Ingest),
            Whole(&pipe_stage_annotations::Annotations),
            Parted(&pipe_stage_frames::Frames),
            Whole(&pipe_stage_augment::Augment),
        ],
        tools: BTreeMap::from([
            (Tool::Ffmpeg.name().to_owned(), pipe_video::ffmpeg_version()),
            (Tool::LibjpegTurbo.name().to_owned(), pipe_video::libjpeg_turbo_version().to_owned()),
        ]),
    })
}
