//! The stage `train`: fits a network to the training samples.
//!
//! | reads | |
//! |---|---|
//! | `frames` | frame shards |
//! | `samples/train.parquet` | the clips of each epoch, in order |
//! | `samples/test.parquet` | for `val_interval` |
//! | `samples/classes.parquet`, `samples/preprocessing.json` | go into the model |
//! | `load_from` | published weights |
//!
//! | writes | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel` |
//! | `training_log.parquet` | a row an epoch |
//!
//! The key holds all parameters, both inputs, the content of `load_from` and the versions of libtorch and libjpeg-turbo.
//! The number of threads that libtorch computes with is a constant of `pipe-learn`, so it is left out.
//!
//! As in `MMEngine` the last batch of an epoch may be smaller, with one exception: a last batch of a single clip is left
//! out (unless `batch_size` is 1), because batch normalisation would take one clip's statistics for all clips'. Order is
//! drawn anew in each epoch, so it is another clip each time.

mod error;
mod samples;
mod stage;

pub use error::TrainError;
pub use stage::Train;
