//! Runs and trains networks: the only home of libtorch.
//!
//! A [`Network`] is a `pipe_graph::Graph` with its tensors. A [`Learner`] trains it, and [`predict_clips`] runs it on clips. A
//! trained network is a folder, see [`TrainedModel`]. Call [`use_threads`] before anything else: results depend on the number
//! of threads that libtorch computes with.

#![warn(clippy::wildcard_enum_match_arm)]

mod averaging;
mod batch;
mod batch_norm;
mod c10d;
mod calibration;
mod clip_grad;
mod convert;
mod device;
mod error;
mod explain;
mod foreach;
mod freezing;
mod gradients;
mod inference;
mod init;
mod kernels;
mod learner;
mod loss_scaler;
mod losses;
mod low_precision;
mod memory;
mod memory_format;
mod model;
mod network;
mod optimizers;
mod param_groups;
mod piece;
mod predict;
mod process;
mod process_group;
mod pruning;
mod schedule;
mod similar;
mod threads;
mod timed;
mod totals;
mod trained_tensor;

pub use averaging::Average;
pub use batch::Normalisation;
pub use calibration::{CalibrationClips, Ranges, measure_histograms, measure_ranges};
pub use clip_grad::clip_gradients;
pub use device::{Device, DeviceError, find_cuda, open_device};
pub use error::LearnError;
pub use explain::{
    CamMethod, ClassActivationMap, ExplainError, ExplainMethod, Explanation, FeatureMap, HeadFusion, HeatMap,
    attention_with_residual, class_activation_map, default_layer, feature_map, min_max, relevance_of_tokens, rollout,
    upscale,
};
pub use freezing::{FreezeError, Freezing};
pub use gradients::{AccumulatedBatches, Gradients};
pub use kernels::TrainingStep;
pub use learner::{Epoch, Learner};
pub use losses::{Labels, Objective};
pub use low_precision::check_low_precision;
pub use memory::MemoryOfClips;
pub use model::{TrainedModel, WeightsReport};
pub use network::Network;
pub use optimizers::Optimizer;
pub use param_groups::{ParamGroup, ParamGroups, ParamGroupsError};
pub use piece::Piece;
pub use predict::predict_clips;
pub use process::restart_with_settings;
pub use process_group::{GroupError, ProcessGroup, Rendezvous, listen};
pub use similar::nearest;
pub use threads::{COMPUTE_THREADS, pin_threads, use_threads};
pub use timed::{TimedNetwork, noise};
pub use totals::{EpochResult, StepResult};
pub use trained_tensor::{Layer, TrainedTensor};
