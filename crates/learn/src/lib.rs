//! Runs and trains networks: the only home of libtorch.
//!
//! A [`Network`] is a `pipe_graph::Graph` with its tensors; a [`Learner`] moves them; [`evaluate_views`] asks them. A
//! trained network is a folder, see [`TrainedModel`]. Call [`pin_threads`] before anything else: results depend on how
//! many threads libtorch computes with, so that is a constant here and no setting.

#![warn(clippy::wildcard_enum_match_arm)]

mod batch;
mod convert;
mod error;
mod evaluate;
mod init;
mod kernels;
mod learner;
mod metrics;
mod model;
mod network;
mod optimizer;
mod schedule;
mod threads;

pub use batch::Normalisation;
pub use error::LearnError;
pub use evaluate::{average_views, evaluate_views};
pub use kernels::TrainingStep;
pub use learner::{EpochResult, Learner, Step};
pub use metrics::{metrics, top1};
pub use model::{TrainedModel, WeightsReport};
pub use network::Network;
pub use optimizer::Optimizer;
pub use schedule::learning_rate;
pub use threads::{COMPUTE_THREADS, pin_threads};
