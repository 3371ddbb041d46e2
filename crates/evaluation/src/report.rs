//! [`write_report`]: the files of a report, and `report.txt`, `report.json` and `report.parquet` among them.

use crate::slices::slices;
use crate::{Choice, Evaluation, EvaluationError, calibration, confusion};
use pipe_metrics::{ClassReport, ConfusionMatrix, LabelSets, Scores, average_precisions};
use pipe_schemas::tables::{ClassReportRow, Labelling, PredictionRow};
use pipe_tables::{write_json, write_rows};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;

/// Number of decimals in `report.txt`, scikit-learn's default.
const DIGITS: usize = 2;

/// The content of `report.json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    num_videos: usize,
    /// What is predicted for a video: its `highest class`, or the `classes of at least 0.5`.
    predicted: &'static str,
    classes: &'a [ClassReportRow],
    averages: Value,
}

/// Writes the files of a report to `folder`, which it creates.
pub fn write_report(evaluation: &Evaluation<'_>, choice: &Choice<'_>, folder: &Path) -> Result<(), EvaluationError> {
    let Evaluation { predictions, classes, labelling, .. } = *evaluation;
    fs_err::create_dir_all(folder)?;
    match labelling {
        Labelling::SingleLabel => {
            let matrix = ConfusionMatrix::of_rows(predictions);
            let averages = json!({
                "all_labels": averages(&ClassReport::of_all(&matrix)),
                "present_labels": averages(&ClassReport::of_present(&matrix)),
                "accuracy": matrix.accuracy(),
            });
            write_classes(evaluation, &ClassReport::of_all(&matrix), averages, folder)?;
            confusion::write(&matrix, classes, folder)?;
            calibration::write(predictions, folder)?;
        }
        Labelling::MultiLabel => {
            let rows: Vec<&PredictionRow> = predictions.iter().collect();
            let sets = LabelSets::of_rows(&rows);
            let averages = json!({ "all_labels": averages(&sets.report()), "subset_accuracy": sets.subset_accuracy() });
            write_classes(evaluation, &sets.report(), averages, folder)?;
        }
    }
    write_rows(&folder.join("slices.parquet"), &slices(evaluation, choice))?;
    Ok(())
}

/// Writes the report per class, as text, JSON and a table.
fn write_classes(
    evaluation: &Evaluation<'_>,
    report: &ClassReport,
    averages: Value,
    folder: &Path,
) -> Result<(), EvaluationError> {
    let Evaluation { predictions, classes, labelling, .. } = *evaluation;
    let name = |class: usize| classes.get(class).cloned().unwrap_or_default();
    fs_err::write(folder.join("report.txt"), report.text(name, DIGITS))?;
    let rows = rows(report, predictions, labelling, name);
    write_rows(&folder.join("report.parquet"), &rows)?;
    let predicted = match labelling {
        Labelling::SingleLabel => "highest class",
        Labelling::MultiLabel => "classes of at least 0.5",
    };
    let content = Report { num_videos: predictions.len(), predicted, classes: &rows, averages };
    Ok(write_json(&folder.join("report.json"), &content)?)
}

fn rows(
    report: &ClassReport,
    predictions: &[PredictionRow],
    labelling: Labelling,
    name: impl Fn(usize) -> String,
) -> Vec<ClassReportRow> {
    let all: Vec<&PredictionRow> = predictions.iter().collect();
    let precisions = match labelling {
        Labelling::SingleLabel => Vec::new(),
        Labelling::MultiLabel => average_precisions(&all),
    };
    let row = |class: &pipe_metrics::ClassScores| {
        let Scores { precision, recall, f1 } = class.scores;
        ClassReportRow {
            class_index: class.class as u32,
            class_name: name(class.class),
            precision,
            recall,
            f1_score: f1,
            support: class.support,
            num_predicted: class.num_predicted,
            average_precision: precisions.get(class.class).copied().flatten(),
        }
    };
    report.classes.iter().map(row).collect()
}

/// Returns the averages of a report, with the number of classes that they are means over.
fn averages(report: &ClassReport) -> Value {
    let scores =
        |scores: Scores| json!({ "precision": scores.precision, "recall": scores.recall, "f1-score": scores.f1 });
    let mut averages = json!({
        "num_classes": report.classes.len(),
        "support": report.support,
        "micro avg": scores(report.micro),
        "macro avg": scores(report.macro_average),
        "weighted avg": scores(report.weighted),
    });
    if let Some(samples) = report.samples {
        averages["samples avg"] = scores(samples);
    }
    averages
}
