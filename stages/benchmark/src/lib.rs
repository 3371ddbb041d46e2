//! The stage `benchmark`: measures variants of a network side by side.
//!
//! | reads | |
//! |---|---|
//! | `samples`, `frames` | the test views, on which every variant is evaluated |
//! | every other input | a model folder, which libtorch runs, or an ONNX file, which engines run |
//!
//! | writes | |
//! |---|---|
//! | `metrics.json` | the table, and how it was measured |
//! | `report/benchmark.parquet` | the table: one row per variant and engine |
//! | `report/benchmark.txt` | the same as text |
//! | `report/latency.png` | accuracy against median latency |
//!
//! Accuracy is computed here; latency and memory are measured in a process per variant and round ([`JOB`]), one at a time. The key has the
//! parameters, the inputs and the library versions. Times are different in every run, so `run --check` compares only the accuracy, see
//! docs/decisions/0019-measurements.md.

mod accuracy;
mod error;
mod latency;
mod picture;
mod stage;
mod text;
mod variant;

pub use error::BenchmarkError;
pub use latency::JOB;
pub use stage::Benchmark;
