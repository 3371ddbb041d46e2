//! Predictions from an exported file alone.
//!
//! - [`ExportedModel`] is the file: its network, its labels, and how a video becomes the input.
//! - [`collect_frames`] decodes a video and returns the images that the views of it show. It may crash on hostile videos; callers run it
//!   in a child process.
//! - [`ExportedModel::views`] and [`ExportedModel::clips`] make the views of these images.
//! - [`Classifier`] runs the network on them, and averages.
//! - [`windows`] are the parts of a long video that are predicted one by one, and [`alerts`] the events in them.
//! - [`annotate`] writes a copy of a video with its predictions on its frames.
//!
//! Everything from the decoded frame to the input of the network is the code that `frames`, `augment` and `evaluate` use: equal videos
//! have equal pixels. This crate does not know pipelines or stages.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod alerts;
pub mod annotate;
mod classifier;
mod error;
mod exported;
mod frames;
mod views;
pub mod windows;

pub use classifier::{Classifier, logits_of_batches};
pub use error::PredictError;
pub use exported::ExportedModel;
pub use frames::{FrameSet, FramesTask, collect_frames, stream_frames};
pub use pipe_video::KeptFrame;
