//! [`Known`]: what optional inputs say about the videos.

use crate::{Column, columns_of_labels, columns_of_videos};
use pipe_schemas::tables::{PredictionRow, VideoRow};
use pipe_tables::{LabelsFolder, TableError, read_rows};
use std::collections::BTreeMap;
use std::path::Path;

/// What is known about videos beside their predictions.
#[derive(Debug, Default)]
pub struct Known {
    groups: Option<BTreeMap<String, String>>,
    /// What videos are divided by.
    pub columns: Vec<Column>,
}

impl Known {
    /// Reads the inputs that are connected.
    pub fn read(
        labels: Option<&Path>,
        videos: Option<&Path>,
        predictions: &[PredictionRow],
    ) -> Result<Self, TableError> {
        let mut known = Self::default();
        if let Some(path) = videos {
            known.columns.extend(columns_of_videos(predictions, &read_rows::<VideoRow>(path)?));
        }
        if let Some(path) = labels {
            let labels = LabelsFolder::open(path).annotations()?;
            known.columns.extend(columns_of_labels(predictions, &labels));
            known.groups = Some(labels.into_iter().map(|row| (row.video_id, row.group)).collect());
        }
        Ok(known)
    }

    /// Returns the group of each video of the labels, or why it is not known.
    pub fn groups(&self) -> Result<&BTreeMap<String, String>, &'static str> {
        self.groups.as_ref().ok_or("the groups are in the labels: connect the input `labels`")
    }
}
