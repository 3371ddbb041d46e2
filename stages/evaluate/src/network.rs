//! From the network to logits: [`run`] computes them for every test view. What they say is in `report.rs`.

use crate::known::known;
use pipe_clips::{Batches, ClipSize, Loader, Takes, TestSamples, TestSamplesError};
use pipe_evaluation::{Choice, Known};
use pipe_infer::{InferenceEngine, Libraries, SessionOptions, load};
use pipe_learn::{COMPUTE_THREADS, TrainedModel, pin_threads, predict_clips};
use pipe_predict::{Classifier, ExportedModel, PredictError, logits_of_batches};
use pipe_schemas::networks::AverageClips;
use pipe_schemas::stages::evaluate::EvaluateParams;
use pipe_schemas::tables::{Labelling, MissingCounts, SampleRow};
use pipe_stage::{Context, StageError};
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
    /// What is known about the videos beside their logits.
    pub(crate) known: Known,
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
    let TestSamples { rows, clip_size, missing, .. } = samples(context, model.takes("the model"))?;
    let (labelling, average_clips) = (model.card.preprocessing.labelling, model.card.model.cls_head.average_clips);
    let (views, loader) = (Arc::<[SampleRow]>::from(rows), Loader::open(context.input("frames")?)?);
    let known = before_inference(context, params, labelling, &views, &loader)?;
    let batches = batches(context, &loader, &views, clip_size, params)?;
    let network = model.network.for_inference()?;
    let after_batch = after_batch(context, views.len());
    let logits = predict_clips(&network, &model.normalisation(), clip_size, batches, after_batch)?;
    let classes = model.card.classes;
    Ok(Logits { views, logits, classes, labelling, average_clips, clip_size, loader, missing, known })
}

/// Runs an exported file on an inference engine.
fn run_exported(
    context: &Context,
    params: &EvaluateParams,
    engine: InferenceEngine,
    libraries: &Libraries,
) -> Result<Logits, StageError> {
    let with_help = StageError::explained(PredictError::help);
    let model = Arc::new(ExportedModel::open(context.input("exported")?).map_err(&with_help)?);
    let engine = load(engine, libraries).map_err(|error| with_help(error.into()))?;
    let options = SessionOptions { precision: params.precision, ..SessionOptions::threads(COMPUTE_THREADS as usize) };
    let mut classifier = Classifier::new(Arc::clone(&model), engine.as_ref(), options).map_err(with_help)?;
    let TestSamples { rows, clip_size, missing, .. } = samples(context, model.takes("the model"))?;
    let metadata = &model.metadata;
    let (views, loader) = (Arc::<[SampleRow]>::from(rows), Loader::open(context.input("frames")?)?);
    let known = before_inference(context, params, metadata.labelling, &views, &loader)?;
    let batches = batches(context, &loader, &views, clip_size, params)?;
    let logits = logits_of_batches::<StageError>(&mut classifier, batches, after_batch(context, views.len()))?;
    Ok(Logits {
        views,
        logits,
        labelling: metadata.labelling,
        average_clips: metadata.average_clips,
        clip_size,
        loader,
        missing,
        known,
        classes: metadata.labels.clone(),
    })
}

/// Reads the test views, and checks that a network takes them.
fn samples(context: &Context, takes: Takes<'_>) -> Result<TestSamples, StageError> {
    let samples = TestSamples::read_for(context.input("samples")?, takes);
    samples.map_err(StageError::explained(TestSamplesError::help))
}

/// Checks the metrics and reads what is known about the videos, so that mistakes in either are found before the network runs.
fn before_inference(
    context: &Context,
    params: &EvaluateParams,
    labelling: Labelling,
    views: &[SampleRow],
    loader: &Loader,
) -> Result<Known, StageError> {
    let EvaluateParams { metric_list, metric_options, bootstrap, .. } = params;
    Choice { metric_list, metric_options, bootstrap }.metrics(labelling)?;
    known(context, views, loader.shards().index())
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
