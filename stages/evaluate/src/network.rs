//! From the network to logits: [`run`] computes them for every test view. What they say is in `report.rs`.

use crate::EvaluateError;
use pipe_clips::{ClipSize, Loader};
use pipe_learn::{TrainedModel, pin_threads, predict_clips};
use pipe_schemas::networks::AverageClips;
use pipe_schemas::stages::evaluate::EvaluateParams;
use pipe_schemas::tables::{Labelling, MissingCounts, ModelCard, Preprocessing, SampleRow, Split};
use pipe_stage::{Context, StageError};
use pipe_tables::SamplesFolder;
use std::path::Path;
use std::sync::Arc;

/// The logits of the test views, and what is needed to understand them.
pub(crate) struct Logits {
    /// The test views.
    pub(crate) views: Arc<[SampleRow]>,
    /// `[N, K]`: the logits of each view.
    pub(crate) logits: Vec<Vec<f32>>,
    /// Names of the `K` classes.
    pub(crate) classes: Vec<String>,
    pub(crate) labelling: Labelling,
    /// How the views of a video are averaged, as the model says.
    pub(crate) average_clips: AverageClips,
    /// Size of a view.
    pub(crate) clip_size: ClipSize,
    /// Reads views from the frames.
    pub(crate) loader: Loader,
    /// How many test videos have no views.
    pub(crate) missing: MissingCounts,
}

/// Runs the network on every test view.
pub(crate) fn run(context: &Context, params: &EvaluateParams) -> Result<Logits, StageError> {
    pin_threads();
    let model = TrainedModel::open(context.input("model")?)?;
    let (views, missing) = read_samples(context.input("samples")?, &model.card)?;
    let loader = Loader::open(context.input("frames")?)?;
    let (clip_size, total) = (model.clip_size(), views.len() as u64);
    let batches = loader.clips(Arc::clone(&views), clip_size, params.batch_size as usize, context.threads())?;
    let after_batch = |done: usize| {
        context.progress(done as u64, total, "views");
        context.check_cancelled()
    };
    let network = model.network.for_inference()?;
    let logits = predict_clips(&network, &model.normalisation(), clip_size, batches, after_batch)?;
    Ok(Logits {
        views,
        logits,
        labelling: model.card.preprocessing.labelling,
        average_clips: model.card.model.cls_head.average_clips,
        clip_size,
        loader,
        missing,
        classes: model.card.classes,
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
