//! `pipe-data-worker`: runs the stages that need FFmpeg or polars.

use pipe_schemas::Tool;
use pipe_stage::{AnyStage, WorkerInfo, serve};
use std::collections::BTreeMap;
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(|| WorkerInfo {
        stages: vec![
            AnyStage::Whole(&pipe_stage_synthesize::Synthesize),
            AnyStage::Whole(&pipe_stage_ingest::Ingest),
            AnyStage::Whole(&pipe_stage_annotations::Annotations),
            AnyStage::Whole(&pipe_stage_frames::Frames),
            AnyStage::Whole(&pipe_stage_augment::Augment),
        ],
        tools: BTreeMap::from([
            (Tool::Ffmpeg.name().to_owned(), pipe_video::ffmpeg_version()),
            (Tool::LibjpegTurbo.name().to_owned(), pipe_video::libjpeg_turbo_version().to_owned()),
        ]),
    })
}
