//! Passes: functions that rewrite a trained network into another one.

mod fold_batch_norm;
mod fold_tables;

pub use fold_batch_norm::fold_batch_norm;
pub use fold_tables::{fold_tables, foldable_tables};
