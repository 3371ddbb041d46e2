//! Every artifact on disk as a type: tables as Parquet, and the folders that stages write and read.
//!
//! | artifact | type |
//! |---|---|
//! | a table whose rows are plain structs of `pipe-schemas` | [`read_rows`], [`write_rows`] |
//! | the log of a training run | [`read_training_log`], [`write_training_log`] |
//! | labels, samples, a model | [`LabelsFolder`], [`SamplesFolder`], [`ModelFolder`] |
//! | frame shards, whose rows are images | [`frames`] |
//! | clip shards, whose rows are clips | [`clips`] |
//! | a JSON file, such as figures | [`read_json`], [`write_json`] |
//!
//! No other crate sets options of the Parquet writer or names a file inside an artifact. Equal content gives equal bytes.

mod buffer;
pub mod clips;
mod diff;
mod error;
mod file;
pub mod frames;
mod json;
mod labels;
mod model;
mod rows;
mod samples;
mod settings;
mod training_log;

pub use diff::{difference, difference_beyond};
pub use error::TableError;
pub use json::{read_json, write_json};
pub use labels::LabelsFolder;
pub use model::ModelFolder;
pub use rows::{num_rows, read_rows, write_rows};
pub use samples::SamplesFolder;
pub use training_log::{read_training_log, write_training_log};
