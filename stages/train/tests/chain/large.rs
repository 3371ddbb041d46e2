//! Training on as many videos as Kinetics-400 has. The index and the samples are generated; all videos share the frames of a few.
//! `cargo nextest run -p pipe-stage-train --run-ignored only large --no-capture` prints the figures.

#![expect(clippy::print_stdout, reason = "the figures are the result")]

use super::{Space, VIDEOS, params, sample};
use pipe_schemas::stages::train::{DataloaderParams, TrainCfg, TrainParams};
use pipe_schemas::tables::{FrameIndexRow, SampleRow};
use pipe_stage::protocol::{MakePart, MakeParts};
use pipe_tables::{SamplesFolder, read_rows, write_rows};
use pipe_testkit::part_in;
use std::time::{Duration, Instant};

const NUM_VIDEOS: u32 = 240_000;

/// What the index, the rows of an epoch and the clips ahead may take together.
const BUDGET_BYTES: u64 = 600 << 20;

fn video_id(number: u32) -> String {
    format!("train/class {:03}/video_{number:08}_000012_000022.mp4", number % 400)
}

fn write_large(space: &Space) {
    let path = space.path("frames").join("index.parquet");
    let few: Vec<FrameIndexRow> = read_rows(&path).expect("an index");
    let row = |number: u32| FrameIndexRow { video_id: video_id(number), ..few[number as usize % few.len()].clone() };
    let mut index: Vec<FrameIndexRow> = (0..NUM_VIDEOS).map(row).chain(few.iter().cloned()).collect();
    index.sort_by(|a, b| a.video_id.cmp(&b.video_id));
    write_rows(&path, &index).expect("written");
    // In an order that is not that of the index.
    let row = |position: u32| {
        let number = (u64::from(position) * 7919 % u64::from(NUM_VIDEOS)) as u32;
        SampleRow { video_id: video_id(number), ..sample(0, position, number as usize % VIDEOS.len()) }
    };
    let rows: Vec<SampleRow> = (0..NUM_VIDEOS).map(row).collect();
    SamplesFolder::open(space.path("samples")).write_epoch(0, &rows).expect("written");
}

/// Returns a figure of this process in bytes.
fn memory(name: &str) -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").expect("read");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

#[test]
#[ignore = "takes a minute, and prints figures"]
fn a_large_training_set_starts_quickly_within_its_budget() {
    let space = Space::new();
    let params = TrainParams {
        train_cfg: TrainCfg { max_iters: Some(2), max_epochs: None, val_interval: 0, ..TrainCfg::default() },
        train_dataloader: DataloaderParams { batch_size: 16 },
        ..params(1, 0)
    };
    // The network and its steps, with the few videos.
    let small = TrainParams { train_dataloader: DataloaderParams { batch_size: 2 }, ..params.clone() };
    space.train(&small, &[], 1, "small");
    write_large(&space);
    let _ = fs_err::write("/proc/self/clear_refs", "5");
    let before = memory("VmRSS");
    let (planned, plan_time) = timed(|| space.plan(&params).len());
    let parts: Vec<MakePart> = vec![part_in(&space.path("large"), "0000")];
    let (making, make_time) = timed(|| space.bench(&params).make(MakeParts { earlier: Vec::new(), parts }));
    making.result.expect("trained");
    let more = memory("VmHWM").saturating_sub(before);
    println!(
        "{NUM_VIDEOS} videos: planned {planned} epoch in {plan_time:.1?}; made 2 steps in {make_time:.1?}; {} MB more than before",
        more >> 20
    );
    assert!(more < BUDGET_BYTES, "{more} bytes");
}
