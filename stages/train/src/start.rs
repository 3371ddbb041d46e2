//! The network before the first epoch.

use crate::TrainError;
use crate::samples::Samples;
use pipe_graph::{Graph, Op};
use pipe_learn::{Network, TrainedModel, WeightsReport};
use pipe_models::{Imported, Layout, NameMap, import};
use pipe_schemas::networks::Project;
use pipe_schemas::stages::train::TrainParams;
use pipe_stage::{Context, SourceFile, Sources, StageError};
use pipe_weights::{Checkpoint, WeightsError, not_finite};
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
    let Some(Weights { path, files, .. }) = load_from(context)? else {
        let initialised = network.graph().params.len();
        return Ok((network, WeightsReport::Initialised { initialised }));
    };
    let names = network.graph().params.iter().map(|param| param.name.as_str()).collect();
    let checkpoint = match &files {
        Some(files) => Checkpoint::open_folder(&path, &files.iter().map(String::as_str).collect::<Vec<_>>()),
        None => Checkpoint::open(&path),
    };
    let checkpoint = checkpoint.map_err(open_error)?.without_prefixes(&names);
    let notes = notes(&checkpoint);
    let own = (NameMap::same(Project::Pipe), Layout::own(network.graph()));
    let Imported { tensors, report } = import(&own.0, &own.1, checkpoint).map_err(|mismatches| {
        let error = TrainError::OtherWeights { path: path.clone(), notes, mismatches };
        StageError::from(error).with_help("check that `model.backbone` is the network of these weights")
    })?;
    network.set(&tensors);
    let tensors = not_finite(&tensors);
    if !tensors.is_empty() {
        return Err(StageError::from(TrainError::WeightsNotFinite { path, tensors })
            .with_help("the training that wrote the file diverged, or the file is damaged: use another checkpoint"));
    }
    Ok((network, WeightsReport::Loaded(Box::new(report))))
}

/// Adds what to do about a file without a state dict.
fn open_error(error: WeightsError) -> StageError {
    let help = matches!(error, WeightsError::NoStateDict { .. }).then_some(
        "save the state dict alone, as `torch.save(model.state_dict(), PATH)` does, or under the key `state_dict`",
    );
    let error = StageError::from(error);
    if let Some(help) = help { error.with_help(help) } else { error }
}

/// Returns what was taken from the file, in parentheses, if it is not a plain state dict.
fn notes(checkpoint: &Checkpoint) -> String {
    let notes = checkpoint.origin.notes();
    if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) }
}

/// Published weights to start from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Weights {
    /// The file or the folder.
    path: PathBuf,
    /// The files of the folder, below it; `None` for a file.
    files: Option<Vec<String>>,
    /// The digest of the content.
    pub(crate) digest: String,
}

/// Returns the published weights to start from, if there are any.
pub(crate) fn load_from(context: &Context) -> Result<Option<Weights>, StageError> {
    let named = context.source("load_from")?;
    if named.is_some() && context.optional_input("weights").is_some() {
        return Err(StageError::from(TrainError::TwoStarts).with_help("remove one of the two"));
    }
    let fetched = context.optional_input("weights").map(|_| context.files("weights", "load_from")).transpose()?;
    let Some(Sources { root, files }) = fetched.or(named) else { return Ok(None) };
    match files.as_slice() {
        [] => Err(TrainError::NoCheckpoint { path: root }.into()),
        [SourceFile { path, digest, .. }] => {
            let path = if root.is_dir() { root.join(path) } else { root };
            Ok(Some(Weights { path, files: None, digest: digest.clone() }))
        }
        several => {
            let digest = digest(several);
            let files = several.iter().map(|file| file.path.clone()).collect();
            Ok(Some(Weights { path: root, files: Some(files), digest }))
        }
    }
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
