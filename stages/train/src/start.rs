//! The network before the first epoch.

use crate::TrainError;
use crate::samples::Samples;
use pipe_graph::{Graph, Op};
use pipe_learn::{LearnError, Network, TrainedModel, WeightsReport};
use pipe_models::{LoadOptions, load};
use pipe_schemas::networks::Backbone;
use pipe_schemas::stages::train::{LoadFrom, TrainParams};
use pipe_schemas::tables::ModelCard;
use pipe_stage::{Context, SourceFile, Sources, StageError};
use pipe_tables::ModelFolder;
use pipe_weights::{Checkpoint, SourceError, WeightsSource};

/// Builds the network's graph for training clips.
pub(crate) fn graph(context: &Context, params: &TrainParams, samples: &Samples) -> Result<Graph, StageError> {
    let preprocessing = &samples.preprocessing;
    let (train_frames, test_frames) = (preprocessing.train_frames, preprocessing.test_frames);
    let graph = graph_for(context, params, samples, train_frames)?;
    let shifts = graph.nodes.iter().any(|node| matches!(node.op, Op::TemporalShift(_)));
    if shifts && train_frames != test_frames {
        let network = graph.name;
        return Err(StageError::from(TrainError::ShiftedFrames { network, train_frames, test_frames })
            .with_help("give both pipelines of `augment` the same number of frames"));
    }
    Ok(graph)
}

/// Builds the network's graph for clips of `frames` frames. The model to start from may be a pruned network.
pub(crate) fn graph_for(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
    frames: u32,
) -> Result<Graph, StageError> {
    let pruning = earlier_model(context, params, samples)?.map(|(_, card)| card.pruning).unwrap_or_default();
    Ok(TrainedModel::graph(&params.model, frames, &samples.preprocessing, samples.classes.len(), &pruning)?)
}

/// Returns the model to start from, if the input `model` is connected: its folder and its description.
///
/// # Errors
/// [`TrainError::OtherNetwork`], [`TrainError::OtherClasses`] and [`TrainError::OtherNormalisation`] if it does not fit the parameters and
/// the samples, and [`TrainError::TwoStarts`] if there are other weights to start from.
pub(crate) fn earlier_model(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
) -> Result<Option<(ModelFolder, ModelCard)>, StageError> {
    let Some(path) = context.optional_input("model") else { return Ok(None) };
    if params.load_from.is_some() || context.optional_input("weights").is_some() {
        let [one, other] = ["the input `model`", "`load_from` or the input `weights`"];
        return Err(StageError::from(TrainError::TwoStarts { one, other }).with_help("remove one of the two"));
    }
    let folder = ModelFolder::open(path);
    let card = folder.card()?;
    if card.model.backbone != params.model.backbone {
        let [expected, found] = [&card.model.backbone, &params.model.backbone].map(json_text);
        return Err(StageError::from(TrainError::OtherNetwork { expected, found })
            .with_help("copy `model:` from the stage that trained it"));
    }
    if card.model.data_preprocessor != params.model.data_preprocessor {
        return Err(StageError::from(TrainError::OtherNormalisation)
            .with_help("copy `model.data_preprocessor` from the stage that trained it"));
    }
    if card.classes != samples.classes {
        let (expected, found) = (card.classes.len(), samples.classes.len());
        return Err(StageError::from(TrainError::OtherClasses { expected, found })
            .with_help("use the samples of the same annotations, or start from published weights with `load_from`"));
    }
    Ok(Some((folder, card)))
}

fn json_text(backbone: &Backbone) -> String {
    serde_json::to_string(backbone).unwrap_or_default()
}

/// Builds the network with its first weights: those of an earlier model, published ones, or random ones.
pub(crate) fn first_network(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
) -> Result<(Network, WeightsReport), StageError> {
    let mut network = Network::new(graph(context, params, samples)?, params.seed);
    if let Some((folder, _)) = earlier_model(context, params, samples)? {
        let path = folder.checkpoint_path();
        let report = network.load(Checkpoint::open(&path).map_err(LearnError::from)?).map_err(LearnError::from)?;
        if !report.reinitialised.is_empty() {
            return Err(LearnError::Incomplete { path, missing: report.reinitialised }.into());
        }
        return Ok((network, WeightsReport::Loaded(Box::new(report))));
    }
    let Some(weights) = load_from(context, params)? else {
        let initialised = network.graph().params.len();
        return Ok((network, WeightsReport::Initialised { initialised }));
    };
    let (checkpoint, config) = (weights.source.open().map_err(source_error)?, weights.source.config()?);
    let LoadFrom { map, inflate, .. } = params.load_from.clone().unwrap_or_default();
    let options = LoadOptions { map, inflate, config };
    let loaded = load(&params.model.backbone, network.graph(), checkpoint, &options).map_err(|error| {
        let help = error.help("model.backbone", "load_from");
        StageError::from(TrainError::OtherWeights { path: weights.source.path().into(), error: Box::new(error) })
            .with_help(help)
    })?;
    for line in loaded.report.lines() {
        context.log(line);
    }
    network.set(&loaded.tensors);
    Ok((network, WeightsReport::Loaded(Box::new(loaded.report))))
}

/// Checks that the weights to start from have the digest of the parameters.
pub(crate) fn check_digest(weights: &Weights, params: &TrainParams) -> Result<(), StageError> {
    match params.load_from.as_ref().and_then(|load_from| load_from.digest.as_ref()) {
        Some(expected) => weights.source.check_digest(expected).map_err(source_error),
        None => Ok(()),
    }
}

/// Adds what to do about it.
fn source_error(error: impl Into<SourceError>) -> StageError {
    let error = error.into();
    let help = error.help();
    StageError::from(error).with_optional_help(help)
}

/// Published weights to start from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Weights {
    source: WeightsSource,
    /// The digest of the content.
    pub(crate) digest: String,
}

/// Returns the published weights to start from, if there are any.
pub(crate) fn load_from(context: &Context, params: &TrainParams) -> Result<Option<Weights>, StageError> {
    let named = context.source("load_from")?;
    if named.is_some() && context.optional_input("weights").is_some() {
        let [one, other] = ["`load_from`", "the input `weights`"];
        return Err(StageError::from(TrainError::TwoStarts { one, other }).with_help("remove one of the two"));
    }
    let fetched = context.optional_input("weights").map(|_| context.files("weights", "load_from")).transpose()?;
    let Some(Sources { root, files }) = fetched.or(named) else {
        if params.load_from.is_some() {
            let help = "set `load_from.checkpoint`, or connect the input `weights`";
            return Err(StageError::from(TrainError::NoStart).with_help(help));
        }
        return Ok(None);
    };
    let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let source = WeightsSource::new(root, &names).map_err(source_error)?;
    let digest = if let [file] = files.as_slice() { file.digest.clone() } else { digest(&files) };
    Ok(Some(Weights { source, digest }))
}

/// Returns the digest of the paths and contents of several files.
fn digest(files: &[SourceFile]) -> String {
    let mut hasher = blake3::Hasher::new();
    for SourceFile { path, digest, .. } in files {
        hasher.update(&(path.len() as u64).to_le_bytes());
        hasher.update(path.as_bytes());
        hasher.update(digest.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
