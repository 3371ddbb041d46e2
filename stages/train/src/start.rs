//! The network before the first epoch.

use crate::TrainError;
use crate::samples::Samples;
use pipe_graph::{Graph, Op};
use pipe_learn::{Network, TrainedModel, WeightsReport};
use pipe_models::{LoadOptions, load};
use pipe_schemas::stages::train::{LoadFrom, TrainParams};
use pipe_stage::{Context, SourceFile, Sources, StageError};
use pipe_weights::{SourceError, WeightsSource};

/// Builds the network's graph for training clips.
pub(crate) fn graph(params: &TrainParams, samples: &Samples) -> Result<Graph, StageError> {
    let preprocessing = &samples.preprocessing;
    let (train_frames, test_frames) = (preprocessing.train_frames, preprocessing.test_frames);
    let graph = TrainedModel::graph(&params.model, train_frames, preprocessing, samples.classes.len())?;
    let shifts = graph.nodes.iter().any(|node| matches!(node.op, Op::TemporalShift(_)));
    if shifts && train_frames != test_frames {
        let network = graph.name;
        return Err(StageError::from(TrainError::ShiftedFrames { network, train_frames, test_frames })
            .with_help("give both pipelines of `augment` the same number of frames"));
    }
    Ok(graph)
}

/// Builds the network with its first weights: published ones, or random ones.
pub(crate) fn first_network(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
) -> Result<(Network, WeightsReport), StageError> {
    let mut network = Network::new(graph(params, samples)?, params.seed);
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
        return Err(StageError::from(TrainError::TwoStarts).with_help("remove one of the two"));
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
