//! The stage `evaluate`: runs a trained network on every test view.
//!
//! | reads | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel` |
//! | `frames` | frame shards |
//! | `samples` | the views of each test video, and how many test videos are missing |
//!
//! | writes | |
//! |---|---|
//! | `metrics.json` | the metrics of `pipe-metrics`, the number of videos they stand for, and of those that are missing |
//! | `predictions.parquet` | one row per video |
//!
//! The key has the batch size (it affects rounding), all inputs and the versions of libtorch and libjpeg-turbo.

mod error;
mod network;
mod report;
mod stage;

pub use error::EvaluateError;
pub use stage::Evaluate;
