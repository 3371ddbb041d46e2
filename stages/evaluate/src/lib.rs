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
//! | `metrics.json` | figures, with their denominator |
//! | `predictions.parquet` | a row a video |
//!
//! The key holds the batch size (it decides rounding), all inputs and the versions of libtorch and libjpeg-turbo.

mod error;
mod stage;

pub use error::EvaluateError;
pub use stage::Evaluate;
