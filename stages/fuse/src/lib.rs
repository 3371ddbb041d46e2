//! The stage `fuse`: adds the predictions of several networks with weights (late fusion), and evaluates the sum.
//!
//! | reads | |
//! |---|---|
//! | `a`, `b`, … `f` | predictions of `evaluate` or `fuse` |
//! | `classes` | optional: the names of all classes; without it, of those that occur |
//! | `labels`, `videos` | optional: groups and properties of videos, as in `evaluate`; `labels` also has the test list, for the number of missing videos |
//!
//! | writes | |
//! |---|---|
//! | `predictions.parquet` | one row per video that all predictions have |
//! | `metrics.json`, `report/` | as `evaluate`; without `labels`, `num_listed` is left out |
//!
//! The key has all parameters and inputs.

mod error;
mod stage;
mod sum;

pub use error::FuseError;
pub use stage::Fuse;
