//! From logits to what they say: predictions, metrics, and the report.

use crate::network::Logits;
use pipe_evaluation::{Choice, Evaluation, Measured, classes_without_videos, measure, mistakes, write_report};
use pipe_metrics::average_views;
use pipe_schemas::stages::evaluate::EvaluateParams;
use pipe_schemas::tables::{MissingCounts, PredictionRow};
use pipe_stage::{Context, StageError, Summary};
use pipe_tables::{write_json, write_rows};
use std::path::Path;

/// Writes predictions, metrics and the report.
pub(crate) fn write(context: &Context, params: &EvaluateParams, found: &Logits) -> Result<Summary, StageError> {
    let Logits { views, logits, classes, labelling, average_clips, missing, known, .. } = found;
    let average_clips = params.average_clips.unwrap_or(*average_clips);
    let predictions = average_views(views, logits, average_clips, *labelling, classes)?;
    write_rows(&context.output("predictions.parquet")?, &predictions)?;
    let evaluation = Evaluation {
        predictions: &predictions,
        classes,
        labelling: *labelling,
        groups: known.groups(),
        columns: &known.columns,
    };
    let EvaluateParams { metric_list, metric_options, bootstrap, num_mistakes, .. } = params;
    let choice = Choice { metric_list, metric_options, bootstrap };
    let measured = measure(&evaluation, &choice)?;
    let (num_missing, num_videos) = (missing.total(), measured.figures.num_videos);
    let metrics = measured.metrics(Some(num_videos + num_missing), num_missing, *missing);
    write_json(&context.output("metrics.json")?, &metrics)?;
    let folder = context.output("report")?;
    write_report(&evaluation, &choice, &folder)?;
    draw_mistakes(context, found, &predictions, *num_mistakes as usize, &folder)?;
    if let Some(text) = classes_without_videos(&predictions, classes) {
        context.warn(text);
    }
    Ok(summary(&measured, missing, &predictions))
}

/// Writes `mistakes.png`, unless nothing is predicted wrongly.
fn draw_mistakes(
    context: &Context,
    found: &Logits,
    predictions: &[PredictionRow],
    most: usize,
    folder: &Path,
) -> Result<(), StageError> {
    let Logits { views, loader, clip_size, .. } = found;
    if let Some(sheet) = mistakes::sheet(predictions, views, loader, *clip_size, most, context.threads())? {
        fs_err::write(folder.join("mistakes.png"), sheet.to_png()?)?;
    }
    Ok(())
}

/// Returns the first two metrics, such as `top1 0.85 (0.76 to 0.92), top5 0.97 (0.92 to 1.00) on 78 of 80 videos (2 missing: 2 absent)`.
fn summary(measured: &Measured, missing: &MissingCounts, predictions: &[PredictionRow]) -> Summary {
    let (num_videos, num_missing) = (measured.figures.num_videos, missing.total());
    let unit = if predictions.iter().any(|row| row.start_secs.is_some()) { "segments" } else { "videos" };
    let denominator = if num_missing == 0 {
        format!("{num_videos} {unit} (0 missing)")
    } else {
        format!("{num_videos} of {} {unit} ({num_missing} missing: {missing})", num_videos + num_missing)
    };
    let mut lines = vec![format!("{} on {denominator}", measured.line())];
    if measured.not_computed.contains_key("confusion") {
        lines.push("no confusion matrix and no calibration: the videos have several labels".to_owned());
    }
    Summary::lines(lines).with_figures(measured.figures.values.iter().map(|(name, value)| (name.as_str(), *value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::evaluation::{Bootstrap, MetricOptions};
    use pipe_schemas::tables::Labelling;

    #[test]
    fn the_denominator_is_in_the_summary() {
        let row = |video_id: &str, predicted_index| PredictionRow {
            video_id: video_id.into(),
            predicted_index,
            probabilities: if predicted_index == 0 { vec![0.9, 0.1] } else { vec![0.1, 0.9] },
            ..PredictionRow::default()
        };
        let (predictions, classes) = ([row("a", 0), row("b", 1)], ["x", "y"].map(str::to_owned));
        let check = |labelling, missing: MissingCounts, expect: &[&str]| {
            let (options, bootstrap) = (MetricOptions::default(), Bootstrap { samples: 0, ..Bootstrap::default() });
            let choice = Choice { metric_list: &[], metric_options: &options, bootstrap: &bootstrap };
            let evaluation = Evaluation {
                predictions: &predictions,
                classes: &classes,
                labelling,
                groups: Err("no labels"),
                columns: &[],
            };
            let measured = measure(&evaluation, &choice).expect("measured");
            assert_eq!(summary(&measured, &missing, &predictions).lines, expect);
        };
        let none = MissingCounts::default();
        check(Labelling::SingleLabel, none, &["top1 0.50, top5 1.00 on 2 videos (0 missing)"]);
        let missing = MissingCounts { num_absent: 1, num_too_short: 2, ..none };
        let expect = "top1 0.50, top5 1.00 on 2 of 5 videos (3 missing: 1 absent, 2 too short for the sampler)";
        check(Labelling::SingleLabel, missing, &[expect]);
        let several = "no confusion matrix and no calibration: the videos have several labels";
        check(
            Labelling::MultiLabel,
            none,
            &["mean_average_precision 1.00, loss 1.20 on 2 videos (0 missing)", several],
        );
    }
}
