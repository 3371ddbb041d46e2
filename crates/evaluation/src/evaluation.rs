//! [`Evaluation`]: predictions, with what is known about the videos.

use crate::Column;
use pipe_schemas::tables::{Labelling, PredictionRow};
use std::collections::BTreeMap;

/// Predictions, with what is known about the videos.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'a> {
    /// One row per video or segment; not empty. Every index is that of a class, and every row has `K` probabilities and logits.
    pub predictions: &'a [PredictionRow],
    /// Names of the `K` classes.
    pub classes: &'a [String],
    /// Whether a video may have several labels.
    pub labelling: Labelling,
    /// The group of each video; `None` if that is not known, with the reason.
    pub groups: Result<&'a BTreeMap<String, String>, &'static str>,
    /// What the videos are divided by for `slices.parquet`.
    pub columns: &'a [Column],
}

impl Evaluation<'_> {
    /// Returns the positions of each video or segment: one each.
    pub(crate) fn rows_as_units(&self) -> Vec<Vec<usize>> {
        (0..self.predictions.len()).map(|at| vec![at]).collect()
    }

    /// Returns the positions of the rows of each group.
    pub(crate) fn groups_as_units(&self) -> Result<Vec<Vec<usize>>, &'static str> {
        groups_as_units(self.predictions, self.groups?)
    }
}

/// Returns the positions of the rows of each group. A video without a group is one of its own.
///
/// # Errors
/// The reason, if no video has a group.
pub fn groups_as_units(
    predictions: &[PredictionRow],
    groups: &BTreeMap<String, String>,
) -> Result<Vec<Vec<usize>>, &'static str> {
    let group = |row: &PredictionRow| groups.get(&row.video_id).filter(|group| !group.is_empty());
    if !predictions.iter().any(|row| group(row).is_some()) {
        return Err("no evaluated video has a group in the labels");
    }
    let mut units: BTreeMap<(bool, &str), Vec<usize>> = BTreeMap::new();
    for (at, row) in predictions.iter().enumerate() {
        let unit = group(row).map_or((false, row.video_id.as_str()), |group| (true, group.as_str()));
        units.entry(unit).or_default().push(at);
    }
    Ok(units.into_values().collect())
}
