//! Runs every fuzz target on mutated inputs for a moment. `cargo xtask fuzz` runs them for as long as asked.

use pipe_fuzz_harness::{TARGETS, mutate};
use std::time::Duration;

/// For each target.
const TIME: Duration = Duration::from_millis(350);

#[track_caller]
fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let count = mutate(target, TIME, 50);
    assert!(count >= 50, "{name}: only {count} inputs");
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
