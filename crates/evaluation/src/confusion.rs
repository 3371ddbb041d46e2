//! The confusion matrix as a table and as a picture.

use crate::EvaluationError;
use pipe_metrics::{ConfusionMatrix, Normalise};
use pipe_pictures::Heatmap;
use pipe_schemas::tables::ConfusionRow;
use pipe_tables::write_rows;
use std::path::Path;

/// Writes `confusion.parquet` and `confusion.png`.
pub(crate) fn write(matrix: &ConfusionMatrix, classes: &[String], folder: &Path) -> Result<(), EvaluationError> {
    let name = |class: usize| classes.get(class).cloned().unwrap_or_default();
    let (of_label, of_prediction) = (matrix.normalised(Normalise::True), matrix.normalised(Normalise::Pred));
    let count = matrix.num_classes();
    let row = |at: usize| {
        let (label, predicted) = (at / count, at % count);
        ConfusionRow {
            class_index: label as u32,
            class_name: name(label),
            predicted_index: predicted as u32,
            predicted_name: name(predicted),
            num_videos: matrix.count(label, predicted),
            share_of_label: of_label[at],
            share_of_prediction: of_prediction[at],
        }
    };
    let rows: Vec<ConfusionRow> = (0..count * count).map(row).filter(|row| row.num_videos > 0).collect();
    write_rows(&folder.join("confusion.parquet"), &rows)?;
    let picture = Heatmap {
        title: format!(
            "labels (rows) and predictions of {} videos: accuracy {:.3}; shade: share of the label",
            matrix.total(),
            matrix.accuracy()
        ),
        names: (0..count).map(name).collect(),
        shares: of_label,
        texts: matrix
            .rows()
            .flatten()
            .map(|count| if *count == 0 { String::new() } else { count.to_string() })
            .collect(),
    };
    fs_err::write(folder.join("confusion.png"), picture.to_png()?)?;
    Ok(())
}
