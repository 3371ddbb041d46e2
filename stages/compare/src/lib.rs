//! The stage `compare`: the predictions of two networks, `a` and `b`, on the same videos.
//!
//! | reads | |
//! |---|---|
//! | `a`, `b` | predictions of `evaluate` or `fuse` |
//! | `labels` | optional: the groups of videos, for intervals over groups, and the test list, for the number of missing videos |
//!
//! | writes | |
//! |---|---|
//! | `metrics.json` | the metrics of both, their differences with paired bootstrap intervals, McNemar's test |
//! | `report/comparison.txt` | the same as text, with what changed |
//! | `report/comparison.parquet` | what both predict for each video |
//!
//! The key has all parameters and inputs.

mod compare;
mod stage;
mod text;

pub use stage::Compare;
