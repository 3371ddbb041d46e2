//! From frame shards to the clips that a network sees. Knows nothing of pipelines.
//!
//! [`sampler`] says which frames make a clip and [`geometry`] which part of them is shown; both are pure functions of
//! their parameters and [`Draws`], and their results are columns of the `samples` tables. [`Loader`] turns rows of those
//! tables into pixels.

mod decode;
mod error;
pub mod geometry;
mod loader;
mod lossless;
mod rng;
pub mod sampler;

pub use decode::jpeg_version;
pub use error::ClipError;
pub use loader::{Batch, Batches, ClipSize, Loader};
pub use lossless::LosslessError;
pub use rng::Draws;
