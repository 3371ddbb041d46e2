//! From frame shards to the clips that a network sees. Knows nothing of pipelines.
//!
//! [`sampler`] says which frames make a clip, [`geometry`] which part of them is shown and [`pixels`] what becomes of their
//! colours; all are pure functions of their parameters and [`Draws`], and their results are columns of the `samples` tables.
//! [`Loader`] turns rows of those tables into pixels, and draws nothing.

mod decode;
mod error;
pub mod geometry;
mod jpeg;
mod loader;
mod lossless;
mod mix;
mod normalise;
pub mod pixels;
mod resample;
mod rng;
pub mod sampler;

pub use decode::jpeg_version;
pub use error::ClipError;
pub use jpeg::JpegError;
pub use loader::{Batch, Batches, ClipSize, Loader};
pub use lossless::LosslessError;
pub use normalise::normalise;
pub use rng::Draws;
