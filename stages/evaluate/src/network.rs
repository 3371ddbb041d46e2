//! From the network to logits: [`run`] computes them for every test view. What they say is in `report.rs`.

use crate::EvaluateError;
use pipe_clips::{Batches, ClipSize, Loader};
use pipe_infer::{InferenceEngine, Libraries, SessionOptions, load};
use pipe_learn::{COMPUTE_THREADS, TrainedModel, pin_threads, predict_clips};
use pipe_predict::{Classifier, ExportedModel, PredictError, logits_of_batches};
use pipe_schemas::networks::AverageClips;
use pipe_schemas::stages::evaluate::EvaluateParams;
use pipe_schemas::tables::{Labelling, MissingCounts, Preprocessing, SampleRow, Split};
use pipe_stage::{Context, StageError};
use pipe_tables::SamplesFolder;
use std::path::Path;
use std::sync::Arc;

/// The logits of the test views, and what is needed to understand them.
#[expect(clippy::struct_field_names, reason = "they are the logits")]
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
pub(crate) fn run(context: &Context, params: &EvaluateParams, libraries: &Libraries) -> Result<Logits, StageError> {
    match params.engine.of_exported_files() {
        None => run_trained(context, params),
        Some(engine) => run_exported(context, params, engine, libraries),
    }
}

/// Runs a trained network on libtorch.
fn run_trained(context: &Context, params: &EvaluateParams) -> Result<Logits, StageError> {
    pin_threads();
    let model = TrainedModel::open(context.input("model")?)?;
    let preprocessing = &model.card.preprocessing;
    let (labelling, average_clips) = (preprocessing.labelling, model.card.model.cls_head.average_clips);
    let Preprocessing { test_frames, height_px, width_px, .. } = *preprocessing;
    let takes = Takes { clips: clip_format(test_frames, height_px, width_px), labelling, classes: &model.card.classes };
    let (views, missing) = read_samples(context.input("samples")?, &takes)?;
    let (clip_size, loader) = (model.clip_size(), Loader::open(context.input("frames")?)?);
    let batches = batches(context, &loader, &views, clip_size, params)?;
    let network = model.network.for_inference()?;
    let after_batch = after_batch(context, views.len());
    let logits = predict_clips(&network, &model.normalisation(), clip_size, batches, after_batch)?;
    let classes = model.card.classes;
    Ok(Logits { views, logits, classes, labelling, average_clips, clip_size, loader, missing })
}

/// Runs an exported file on an inference engine.
fn run_exported(
    context: &Context,
    params: &EvaluateParams,
    engine: InferenceEngine,
    libraries: &Libraries,
) -> Result<Logits, StageError> {
    let model = Arc::new(ExportedModel::open(context.input("exported")?).map_err(with_help)?);
    let engine = load(engine, libraries).map_err(|error| with_help(error.into()))?;
    let options = SessionOptions::threads(COMPUTE_THREADS as usize);
    let mut classifier = Classifier::new(Arc::clone(&model), engine.as_ref(), options).map_err(with_help)?;
    let (metadata, clips) = (&model.metadata, &model.metadata.preprocessing);
    let takes = Takes {
        clips: clip_format(clips.frames, clips.height_px, clips.width_px),
        labelling: metadata.labelling,
        classes: &metadata.labels,
    };
    let (views, missing) = read_samples(context.input("samples")?, &takes)?;
    let loader = Loader::open(context.input("frames")?)?;
    let batches = batches(context, &loader, &views, model.clip_size, params)?;
    let logits = logits_of_batches::<StageError>(&mut classifier, batches, after_batch(context, views.len()))?;
    Ok(Logits {
        views,
        logits,
        labelling: metadata.labelling,
        average_clips: metadata.average_clips,
        clip_size: model.clip_size,
        loader,
        missing,
        classes: metadata.labels.clone(),
    })
}

fn with_help(error: PredictError) -> StageError {
    let help = error.help();
    StageError::from(error).with_optional_help(help.as_deref())
}

fn batches(
    context: &Context,
    loader: &Loader,
    views: &Arc<[SampleRow]>,
    size: ClipSize,
    params: &EvaluateParams,
) -> Result<Batches, StageError> {
    Ok(loader.clips(Arc::clone(views), size, params.batch_size as usize, context.threads())?)
}

/// Returns a function that reports progress, and stops the work if the request was cancelled.
fn after_batch(context: &Context, num_views: usize) -> impl FnMut(usize) -> Result<(), StageError> {
    move |done| {
        context.progress(done as u64, num_views as u64, "views");
        context.check_cancelled()
    }
}

/// What a network takes.
struct Takes<'a> {
    /// As `8 frames of 112x112 px`.
    clips: String,
    labelling: Labelling,
    classes: &'a [String],
}

/// Returns the test views, and how many videos of the test list have none.
fn read_samples(folder: &Path, takes: &Takes<'_>) -> Result<(Arc<[SampleRow]>, MissingCounts), StageError> {
    let samples = SamplesFolder::open(folder);
    let Preprocessing { test_frames, height_px, width_px, labelling, .. } = samples.preprocessing()?;
    let (expected, found) = (takes.clips.clone(), clip_format(test_frames, height_px, width_px));
    if expected != found {
        return Err(EvaluateError::OtherClips { expected, found }.into());
    }
    if (takes.labelling, labelling) == (Labelling::SingleLabel, Labelling::MultiLabel) {
        return Err(StageError::from(EvaluateError::SeveralLabels)
            .with_help("train on these samples, or evaluate on those that the model was trained with"));
    }
    let found: Vec<String> = samples.classes()?.into_iter().map(|class| class.class_name).collect();
    if found != takes.classes {
        let expected = takes.classes.to_owned();
        return Err(StageError::from(EvaluateError::OtherClasses { expected, found }).with_help(
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
fn clip_format(frames: u32, height_px: u32, width_px: u32) -> String {
    let plural = if frames == 1 { "" } else { "s" };
    format!("{frames} frame{plural} of {width_px}x{height_px} px")
}
