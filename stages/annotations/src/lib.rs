//! `annotations`: label lists, checked and joined with the `videos` table.
//!
//! Reads `videos` and the list files that `root` or the input `lists` brings. Writes `labels/annotations.parquet`,
//! `labels/classes.parquet`, `labels/labelling.json` and `report.json`. Its key holds the contents of the lists, the digest of
//! `videos` and all parameters; where the lists lie is not in it.
//!
//! Every format is read to the same rows (`lists.rs`), so that what follows is written once: groups, splits, class
//! indices (`labels.rs`), the join, the checks.

mod alike;
mod checks;
mod csv;
mod error;
mod formats;
mod groups;
mod join;
mod json;
mod label_map;
mod labels;
mod lists;
mod report;
mod split;
mod stage;
#[cfg(test)]
mod test_data;

pub use stage::Annotations;
