//! From frame shards to the clips that a network sees. This crate does not know pipelines or stages.
//!
//! A clip is determined in two steps. [`samplers`] choose its frames; [`transforms`] choose the part of them that is shown and draw
//! the [`pixel_ops`] that change colors. Both are pure functions of parameters and [`Draws`]. [`train_views`] and [`test_views`]
//! do both steps for a video, and their results are rows of the `samples` tables. [`Loader`] turns rows into pixels and draws
//! nothing. [`TestSamples`] are the test views of a table, for every stage that runs a network on them.

#![warn(clippy::wildcard_enum_match_arm)]

mod clip_decoder;
mod decode;
mod error;
mod frame;
mod loader;
mod lossless;
mod mix;
mod normalise;
mod numpy_random;
pub mod pixel_ops;
mod rng;
pub mod samplers;
mod test_samples;
pub mod transforms;
mod views;

pub use clip_decoder::ClipDecoder;
pub use error::ClipError;
pub use loader::{Batch, Batches, ClipSize, Loader};
pub use lossless::LosslessError;
pub use normalise::normalise;
pub use rng::Draws;
pub use test_samples::{Takes, TestSamples, TestSamplesError};
pub use views::{ClipView, VideoSegment, test_views, train_views};
