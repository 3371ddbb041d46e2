//! Runs every fuzz target on mutated inputs a few hundred times. `cargo xtask fuzz` runs them for as long as asked.

use pipe_fuzz_harness::{TARGETS, mutate};
use std::time::Instant;

/// For each target. A time instead would give a fast machine more inputs, and other results.
const NUM_INPUTS: usize = 500;

/// How much the peak of memory may grow while 10,000 inputs of a format are read.
const MAX_GROWN_BYTES: u64 = 64 << 20;

#[track_caller]
fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    mutate(target, NUM_INPUTS);
}

#[test]
fn pipeline_files() {
    check("pipeline");
}

#[test]
fn label_lists() {
    check("lists");
}

#[test]
fn archives() {
    check("archives");
}

#[test]
fn pickles() {
    check("pickle");
}

#[test]
fn safetensors() {
    check("safetensors");
}

#[test]
fn torch_zip() {
    check("torch_zip");
}

#[test]
fn shards() {
    check("shards");
}

#[test]
fn hf_configs() {
    check("hf_config");
}

/// The peak of this process's memory in bytes, where the system reports it.
fn peak_memory() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// 10,000 mutations of each format of weights need no more memory than a few of the largest seeds.
#[test]
#[ignore = "takes a minute"]
#[expect(clippy::print_stdout, reason = "the figures of a run by hand")]
fn many_files_of_weights() {
    for name in ["pickle", "torch_zip", "safetensors", "shards", "hf_config"] {
        let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
        let (start, before) = (Instant::now(), peak_memory());
        mutate(target, 10_000);
        let grown = before.zip(peak_memory()).map(|(before, after)| after - before);
        assert!(
            grown.is_none_or(|bytes| bytes < MAX_GROWN_BYTES),
            "{name}: the peak of memory grew by {grown:?} bytes"
        );
        let grown = grown.map_or("unknown".to_owned(), |bytes| format!("{} KiB", bytes >> 10));
        println!("{name}: 10,000 inputs in {:.1?}, the peak of memory grew by {grown}", start.elapsed());
    }
}

#[test]
fn worker_protocol() {
    check("protocol");
}

#[test]
fn every_target_has_a_binary() {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("started by cargo");
    let manifest = std::path::Path::new(&package).join("../Cargo.toml");
    let manifest = fs_err::read_to_string(manifest).expect("read");
    for target in TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{}.rs\"", target.name)), "{}", target.name);
    }
}
