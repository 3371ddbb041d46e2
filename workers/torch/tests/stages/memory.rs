//! A batch that does not fit into memory.

use super::processes::{make, request};
use super::{Space, Worker, change_preprocessing, train_params};
use pipe_schemas::stages::train::{DataloaderParams, TrainParams};
use pipe_stage::protocol::Task;
use pipe_tables::SamplesFolder;
use std::process::Command;

/// Bytes that the worker may take beside those that it has after loading its libraries.
const MORE_BYTES: u64 = 700 << 20;

#[test]
fn a_batch_that_does_not_fit_is_an_error_that_names_one_that_does() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        return pipe_testkit::skip("prlimit, which limits the memory of a process");
    }
    let space = Space::new();
    // Clips of which eight do not fit, and two do.
    change_preprocessing(&SamplesFolder::open(&space.path("samples")), |preprocessing| {
        (preprocessing.height_px, preprocessing.width_px) = (768, 768);
    });
    let params = TrainParams {
        train_dataloader: DataloaderParams { batch_size: 8 },
        threads: Some(1),
        train_cfg: pipe_schemas::stages::train::TrainCfg { val_interval: 0, ..train_params().train_cfg },
        ..train_params()
    };
    let mut worker = Worker::start();
    worker.planned(request(&space, &params, Task::Plan)).expect("planned");
    let pid = worker.process.id();
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).expect("read");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size");
    let bytes = size.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024 + MORE_BYTES;
    let limited = Command::new("prlimit").args([format!("--pid={pid}"), format!("--as={bytes}")]).status();
    assert!(limited.expect("a command").success());
    let (task, _) = make(&space, "large", &[], 1);
    let (error, help) = worker.finished(request(&space, &params, task)).expect_err("out of memory");
    assert!(error.contains("libtorch failed at"), "{error}");
    let batch_size = help.strip_prefix("set `train_dataloader.batch_size` to ").expect(&help);
    let batch_size: u32 = batch_size.split(' ').next().and_then(|number| number.parse().ok()).expect(&help);
    assert!((1..8).contains(&batch_size), "{help}");
    // The advice holds.
    let smaller = TrainParams { train_dataloader: DataloaderParams { batch_size }, ..params };
    let (task, _) = make(&space, "smaller", &[], 1);
    worker.finished(request(&space, &smaller, task)).expect("it fits");
}
