//! [`Evaluate`]: the stage itself.

use crate::EvaluateError;
use pipe_clips::Loader;
use pipe_learn::{TrainedModel, average_views, evaluate_views, metrics, pin_threads};
use pipe_schemas::stages::evaluate::{EvaluateParams, Metrics};
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
        let logits = evaluate_views(&model.network, &model.normalisation(), size, batches, after_batch)?;
        let labelling = model.card.preprocessing.labelling;
        let predictions = average_views(&rows, &logits, model.card.model.cls_head.average_clips, labelling)?;
        let metrics = metrics(&predictions, num_missing, labelling);

        write_json(&context.output("metrics.json")?, &metrics)?;
        write_rows(&context.output("predictions.parquet")?, &predictions)?;
        Ok(summary(&metrics, &predictions))
    }
}

fn summary(metrics: &Metrics, predictions: &[PredictionRow]) -> Summary {
    let Metrics { num_videos, num_missing, .. } = metrics;
    let figures = [("top1", metrics.top1), ("top5", metrics.top5), ("mAP", metrics.mean_average_precision)];
    let told = figures.iter().filter_map(|(name, value)| Some(format!("{name} {:.2}", (*value)?)));
    let told = told.collect::<Vec<_>>().join(", ");
    let unit = if predictions.iter().any(|row| row.start_secs.is_some()) { "segments" } else { "videos" };
    let known = figures.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    Summary::line(format!("{told} on {num_videos} {unit} ({num_missing} missing)"))
        .with_figures(known.chain([("loss", metrics.loss)]))
}

/// Returns the test rows, and how many videos of the test list have none.
fn read_samples(folder: &Path, card: &ModelCard) -> Result<(Arc<[SampleRow]>, u64), StageError> {
    let samples = SamplesFolder::open(folder);
    let preprocessing = samples.preprocessing()?;
    let (expected, found) = (clips(&card.preprocessing), clips(&preprocessing));
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
            .with_help("see what `ingest` and `frames` say of the videos"));
    }
    Ok((rows.into(), num_missing))
}

/// Says what a test clip looks like.
fn clips(preprocessing: &Preprocessing) -> String {
    let Preprocessing { test_frames, height_px, width_px, .. } = preprocessing;
    format!("{test_frames} frames of {width_px}x{height_px} px")
}
