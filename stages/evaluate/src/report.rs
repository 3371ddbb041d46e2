//! From logits to what they say: predictions and metrics.

use crate::network::Logits;
use pipe_metrics::{average_views, measure};
use pipe_schemas::stages::evaluate::{Figures, Metrics};
use pipe_schemas::tables::PredictionRow;
use pipe_stage::{Context, StageError, Summary};
use pipe_tables::{write_json, write_rows};
use std::collections::BTreeSet;

/// Writes predictions and metrics.
pub(crate) fn write(context: &Context, found: &Logits) -> Result<Summary, StageError> {
    let Logits { views, logits, classes, labelling, average_clips, missing, .. } = found;
    let predictions = average_views(views, logits, *average_clips, *labelling, classes)?;
    let figures = measure(&predictions, *labelling);
    let metrics = Metrics {
        num_listed: figures.num_videos + missing.total(),
        num_missing: missing.total(),
        missing: *missing,
        figures,
        num_views: views.len() as u64,
        num_classes: classes.len() as u64,
    };
    write_json(&context.output("metrics.json")?, &metrics)?;
    write_rows(&context.output("predictions.parquet")?, &predictions)?;
    if let Some(text) = classes_without_videos(&predictions, classes) {
        context.warn(text);
    }
    Ok(summary(&metrics, &predictions))
}

/// Returns the first two metrics, such as `top1 0.85, top5 0.97 on 78 of 80 videos (2 missing: 2 absent)`.
fn summary(metrics: &Metrics, predictions: &[PredictionRow]) -> Summary {
    let Metrics { figures: Figures { values, num_videos }, num_listed, num_missing, missing, .. } = metrics;
    let texts: Vec<String> = values.iter().take(2).map(|(name, value)| format!("{name} {value:.2}")).collect();
    let unit = if predictions.iter().any(|row| row.start_secs.is_some()) { "segments" } else { "videos" };
    let denominator = if *num_missing == 0 {
        format!("{num_videos} {unit} (0 missing)")
    } else {
        format!("{num_videos} of {num_listed} {unit} ({num_missing} missing: {missing})")
    };
    Summary::line(format!("{} on {denominator}", texts.join(", ")))
        .with_figures(values.iter().map(|(name, value)| (name.as_str(), *value)))
}

/// Maximum number of classes that a warning names.
const MAX_NAMED: usize = 10;

/// Returns a warning about classes that no evaluated video has as a label: the metrics say nothing about them.
fn classes_without_videos(predictions: &[PredictionRow], classes: &[String]) -> Option<String> {
    let with: BTreeSet<u32> = predictions.iter().flat_map(PredictionRow::class_indices).collect();
    let without: Vec<&str> =
        (0..).zip(classes).filter(|(index, _)| !with.contains(index)).map(|(_, name)| name.as_str()).collect();
    let (count, total) = (without.len(), classes.len());
    let verb = if count == 1 { "has" } else { "have" };
    let more = if count > MAX_NAMED { format!(" and {} more", count - MAX_NAMED) } else { String::new() };
    let named = without.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
    (count > 0).then(|| {
        format!("{count} of {total} classes {verb} no evaluated test video, so the metrics do not measure them: {named}{more}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::tables::MissingCounts;

    fn prediction(class_index: u32, more: &[u32]) -> PredictionRow {
        PredictionRow { class_index, more_class_indices: more.into(), ..PredictionRow::default() }
    }

    #[test]
    fn classes_without_a_test_video_are_named() {
        let classes: Vec<String> = (0..14).map(|class| format!("c{class}")).collect();
        let all: Vec<_> = (0..14).map(|class| prediction(class, &[])).collect();
        assert_eq!(classes_without_videos(&all, &classes), None);
        let found = classes_without_videos(&[prediction(1, &[3]), prediction(0, &[])], &classes[..4]);
        let expect = "1 of 4 classes has no evaluated test video, so the metrics do not measure them: c2";
        assert_eq!(found.as_deref(), Some(expect));
        let found = classes_without_videos(&all[..2], &classes).expect("a warning");
        assert!(
            found.starts_with("12 of 14 classes have ")
                && found.ends_with(": c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 and 2 more"),
            "{found}"
        );
    }

    #[test]
    fn the_denominator_is_in_the_summary() {
        let check = |missing: MissingCounts, expect: &str| {
            let figures = Figures { values: vec![("top1".into(), 0.5), ("top5".into(), 1.0)], num_videos: 2 };
            let (num_missing, num_listed) = (missing.total(), 2 + missing.total());
            let metrics = Metrics { figures, num_listed, num_missing, missing, num_views: 2, num_classes: 2 };
            assert_eq!(summary(&metrics, &[prediction(0, &[])]).lines, [expect]);
        };
        check(MissingCounts::default(), "top1 0.50, top5 1.00 on 2 videos (0 missing)");
        let missing = MissingCounts { num_absent: 1, num_too_short: 2, ..MissingCounts::default() };
        check(missing, "top1 0.50, top5 1.00 on 2 of 5 videos (3 missing: 1 absent, 2 too short for the sampler)");
    }
}
