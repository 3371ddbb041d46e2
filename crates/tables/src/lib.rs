//! Tables as Parquet: the only home of arrow's and parquet's writer settings.
//!
//! [`write_rows`] and [`read_rows`] serve every table whose rows are plain structs of `pipe-schemas`; frame shards, whose
//! rows are large, have [`frames`], and clips [`clips`].

mod buffer;
pub mod clips;
mod diff;
mod file;
pub mod frames;
mod rows;
mod settings;

pub use diff::{difference, difference_beyond};
pub use rows::{TableError, read_rows, write_rows};
