//! [`Evaluate`]: the stage itself.

use crate::EvaluateError;
use pipe_clips::Loader;
use pipe_learn::{TrainedModel, pin_threads, predict_clips};
use pipe_metrics::{average_views, measure};
use pipe_schemas::stages::evaluate::{EvaluateParams, Figures, Metrics};
use pipe_schemas::tables::{Labelling, MissingCounts, ModelCard, PredictionRow, Preprocessing, SampleRow, Split};
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_tables::{SamplesFolder, write_json, write_rows};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The stage `evaluate`.
pub struct Evaluate;

impl Stage for Evaluate {
    fn kind(&self) -> &'static str {
        pipe_schemas::stages::evaluate::CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        pin_threads();
        let params: EvaluateParams = context.params()?;
        let model = TrainedModel::open(context.input("model")?)?;
        let (rows, missing) = read_samples(context.input("samples")?, &model.card)?;
        let loader = Loader::open(context.input("frames")?)?;
        let (size, total) = (model.clip_size(), rows.len() as u64);
        let batches = loader.clips(Arc::clone(&rows), size, params.batch_size as usize, context.threads())?;
        let after_batch = |done: usize| {
            context.progress(done as u64, total, "views");
            context.check_cancelled()
        };
        let network = model.network.for_inference()?;
        let logits = predict_clips(&network, &model.normalisation(), size, batches, after_batch)?;
        let labelling = model.card.preprocessing.labelling;
        let predictions =
            average_views(&rows, &logits, model.card.model.cls_head.average_clips, labelling, &model.card.classes)?;
        let figures = measure(&predictions, labelling);
        let metrics = Metrics {
            num_listed: figures.num_videos + missing.total(),
            num_missing: missing.total(),
            missing,
            figures,
            num_views: rows.len() as u64,
            num_classes: model.card.classes.len() as u64,
        };

        write_json(&context.output("metrics.json")?, &metrics)?;
        write_rows(&context.output("predictions.parquet")?, &predictions)?;
        if let Some(text) = classes_without_videos(&predictions, &model.card.classes) {
            context.warn(text);
        }
        Ok(summary(&metrics, &predictions))
    }
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

/// Returns the test views, and how many videos of the test list have none.
fn read_samples(folder: &Path, card: &ModelCard) -> Result<(Arc<[SampleRow]>, MissingCounts), StageError> {
    let samples = SamplesFolder::open(folder);
    let preprocessing = samples.preprocessing()?;
    let (expected, found) = (clip_format(&card.preprocessing), clip_format(&preprocessing));
    if expected != found {
        return Err(EvaluateError::OtherClips { expected, found }.into());
    }
    if (card.preprocessing.labelling, preprocessing.labelling) == (Labelling::SingleLabel, Labelling::MultiLabel) {
        return Err(StageError::from(EvaluateError::SeveralLabels)
            .with_help("train on these samples, or evaluate on those that the model was trained with"));
    }
    let found: Vec<String> = samples.classes()?.into_iter().map(|class| class.class_name).collect();
    if found != card.classes {
        return Err(StageError::from(EvaluateError::OtherClasses { expected: card.classes.clone(), found }).with_help(
            "the classes and their order must be equal: see the label map of `annotations` and of `pretrained`",
        ));
    }
    let rows = samples.test()?;
    let missing = MissingCounts::of(&samples.missing()?, Split::Test);
    if rows.is_empty() {
        return Err(StageError::from(EvaluateError::NoSamples { missing })
            .with_help("see the warnings of `ingest`, `annotations`, `frames` and `augment`"));
    }
    Ok((rows.into(), missing))
}

/// Returns what a test clip looks like, such as `8 frames of 112x112 px`.
fn clip_format(preprocessing: &Preprocessing) -> String {
    let Preprocessing { test_frames, height_px, width_px, .. } = preprocessing;
    let plural = if *test_frames == 1 { "" } else { "s" };
    format!("{test_frames} frame{plural} of {width_px}x{height_px} px")
}

#[cfg(test)]
mod tests {
    use super::*;

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
