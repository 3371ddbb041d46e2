//! Fuzz targets: functions that pass any bytes to a parser of `pipe` and assert what must hold for every input.
//!
//! No input may cause a panic, exhaust memory or take seconds. `fuzz/fuzz_targets/` runs each target with libFuzzer
//! (`cargo xtask fuzz`); [`mutate()`] runs them briefly in a normal test, on any compiler. Add a target as one module with `run` and
//! `seeds`, one row of [`TARGETS`], and one file in `fuzz/fuzz_targets/`.

mod archives;
mod hf_config;
mod lists;
mod mutate;
mod pickle;
mod pipeline;
mod protocol;
mod safetensors;
mod scratch;
mod shards;
mod torch_zip;

pub use mutate::{Mutator, mutate};

/// A fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its binary and of its corpus.
    pub name: &'static str,
    /// Passes an input to the parser, and panics if something does not hold.
    pub run: fn(&[u8]),
    /// Returns valid inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Each has a program of its name in `fuzz/fuzz_targets`.
pub const TARGETS: [Target; 9] = [
    Target { name: "pipeline", run: pipeline::run, seeds: pipeline::seeds },
    Target { name: "lists", run: lists::run, seeds: lists::seeds },
    Target { name: "archives", run: archives::run, seeds: archives::seeds },
    Target { name: "pickle", run: pickle::run, seeds: pickle::seeds },
    Target { name: "safetensors", run: safetensors::run, seeds: safetensors::seeds },
    Target { name: "torch_zip", run: torch_zip::run, seeds: torch_zip::seeds },
    Target { name: "shards", run: shards::run, seeds: shards::seeds },
    Target { name: "hf_config", run: hf_config::run, seeds: hf_config::seeds },
    Target { name: "protocol", run: protocol::run, seeds: protocol::seeds },
];

/// Runs the target `name` on one input.
///
/// # Panics
/// If there is no such target, or the input reveals a bug.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of the table").run)(data);
}
