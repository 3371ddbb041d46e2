//! `annotations`: label lists, checked and joined with the `videos` table.
//!
//! Reads `videos` and the list files that `root` or the input `lists` brings. Writes `labels/annotations.parquet`,
//! `labels/classes.parquet` and `report.json`. Its key holds the contents of the lists, the digest of `videos` and all
//! parameters; where the lists lie is not in it.

mod error;
mod join;
mod report;
mod stage;
mod ucf101;

pub use stage::Annotations;
