//! `augment`: every random draw of training and every test view, as rows of the `samples` tables.
//!
//! Reads `index.parquet` of `frames`, and `annotations.parquet` and `classes.parquet` of `labels`; no pixels. Writes
//! `samples/`: `train.parquet`, `test.parquet`, `classes.parquet` and `preprocessing.json`. Its key holds the digests of
//! its inputs and all parameters; no library decides its bytes but our own draws.

mod draw;
mod error;
mod stage;

pub use stage::Augment;
