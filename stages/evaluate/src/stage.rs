//! [`Evaluate`]: the stage itself.

use crate::EvaluateError;
use pipe_clips::Loader;
use pipe_learn::{TrainedModel, pin_threads, predict_clips};
use pipe_metrics::{average_views, measure};
use pipe_schemas::stages::evaluate::{EvaluateParams, Figures, Metrics};
use pipe_schemas::tables::{Labelling, ModelCard, PredictionRow, Preprocessing, SampleRow};
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_tables::{SamplesFolder, write_json, write_rows};
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
        let (rows, num_missing) = read_samples(context.input("samples")?, &model.card)?;
        let loader = Loader::open(context.input("frames")?)?;
        let (size, total) = (model.clip_size(), rows.len() as u64);
        let batches = loader.clips(Arc::clone(&rows), size, params.batch_size as usize, context.threads())?;
        let after_batch = |done: usize| {
            context.progress(done as u64, total, "views");
            context.check_cancelled()
        };
        let logits = predict_clips(&model.network, &model.normalisation(), size, batches, after_batch)?;
        let labelling = model.card.preprocessing.labelling;
        let predictions = average_views(&rows, &logits, model.card.model.cls_head.average_clips, labelling)?;
        let metrics = Metrics {
            figures: measure(&predictions, labelling),
            num_missing,
            num_views: rows.len() as u64,
            num_classes: model.card.classes.len() as u64,
        };

        write_json(&context.output("metrics.json")?, &metrics)?;
        write_rows(&context.output("predictions.parquet")?, &predictions)?;
        Ok(summary(&metrics, &predictions))
    }
}

/// Returns the first two metrics, such as `top1 0.85, top5 0.97 on 80 videos (2 missing)`.
fn summary(metrics: &Metrics, predictions: &[PredictionRow]) -> Summary {
    let Figures { values, num_videos } = &metrics.figures;
    let texts: Vec<String> = values.iter().take(2).map(|(name, value)| format!("{name} {value:.2}")).collect();
    let unit = if predictions.iter().any(|row| row.start_secs.is_some()) { "segments" } else { "videos" };
    let text = format!("{} on {num_videos} {unit} ({} missing)", texts.join(", "), metrics.num_missing);
    Summary::line(text).with_figures(values.iter().map(|(name, value)| (name.as_str(), *value)))
}

/// Returns the test views, and the number of videos of the test list that have none.
fn read_samples(folder: &Path, card: &ModelCard) -> Result<(Arc<[SampleRow]>, u64), StageError> {
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
        return Err(EvaluateError::OtherClasses { expected: card.classes.clone(), found }.into());
    }
    let rows = samples.test()?;
    let num_missing = preprocessing.num_missing_test;
    if rows.is_empty() {
        return Err(StageError::from(EvaluateError::NoSamples { num_missing })
            .with_help("see the warnings of `ingest` and `frames`"));
    }
    Ok((rows.into(), num_missing))
}

/// Returns what a test clip looks like, such as `8 frames of 112x112 px`.
fn clip_format(preprocessing: &Preprocessing) -> String {
    let Preprocessing { test_frames, height_px, width_px, .. } = preprocessing;
    format!("{test_frames} frames of {width_px}x{height_px} px")
}
