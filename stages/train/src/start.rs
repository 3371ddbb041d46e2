//! The network before the first epoch.

use crate::TrainError;
use crate::samples::Samples;
use pipe_graph::{Graph, Op};
use pipe_learn::{Network, TrainedModel, WeightsReport};
use pipe_schemas::stages::train::TrainParams;
use pipe_stage::{Context, SourceFile, Sources, StageError};
use pipe_weights::Checkpoint;
use std::path::PathBuf;

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
    let Some((path, _)) = load_from(context)? else {
        let initialised = network.graph().params.len();
        return Ok((network, WeightsReport::Initialised { initialised }));
    };
    let report = network.load(&Checkpoint::open(&path)?).map_err(|error| {
        StageError::from(error).with_help("check that `model.backbone` is the network of these weights")
    })?;
    Ok((network, WeightsReport::Loaded(report)))
}

/// Returns the file of published weights with its digest, if there is one.
pub(crate) fn load_from(context: &Context) -> Result<Option<(PathBuf, String)>, StageError> {
    let named = context.source("load_from")?;
    if named.is_some() && context.optional_input("weights").is_some() {
        return Err(StageError::from(TrainError::TwoStarts).with_help("remove one of the two"));
    }
    let fetched = context.optional_input("weights").map(|_| context.files("weights", "load_from")).transpose()?;
    let Some(Sources { root, files }) = fetched.or(named) else { return Ok(None) };
    let [SourceFile { path, digest, .. }] = files.as_slice() else {
        return Err(TrainError::Checkpoint { num_files: files.len() }.into());
    };
    Ok(Some((if root.is_dir() { root.join(path) } else { root }, digest.clone())))
}
