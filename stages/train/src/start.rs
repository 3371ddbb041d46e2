//! The network before the first epoch.

use crate::TrainError;
use crate::samples::Samples;
use pipe_graph::{Graph, Op};
use pipe_learn::{Network, TrainedModel, WeightsReport};
use pipe_models::{LoadOptions, load};
use pipe_schemas::stages::train::{LoadFrom, TrainParams};
use pipe_stage::{Context, SourceFile, Sources, StageError};
use pipe_weights::{Checkpoint, FileDigests, HfConfig, WeightsError};
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
    let Some(weights) = load_from(context, params)? else {
        let initialised = network.graph().params.len();
        return Ok((network, WeightsReport::Initialised { initialised }));
    };
    let (checkpoint, config) = weights.open().map_err(open_error)?;
    let LoadFrom { map, inflate, .. } = params.load_from.clone().unwrap_or_default();
    let options = LoadOptions { map, inflate, config };
    let loaded = load(&params.model.backbone, network.graph(), checkpoint, &options).map_err(|error| {
        let help = error.help("model.backbone", "load_from");
        StageError::from(TrainError::OtherWeights { path: weights.path, error: Box::new(error) }).with_help(help)
    })?;
    for line in loaded.report.lines() {
        context.log(line);
    }
    network.set(&loaded.tensors);
    Ok((network, WeightsReport::Loaded(Box::new(loaded.report))))
}

/// Checks that the weights to start from have the digest of the parameters.
pub(crate) fn check_digest(weights: &Weights, params: &TrainParams) -> Result<(), StageError> {
    let Some(expected) = params.load_from.as_ref().and_then(|load_from| load_from.digest.clone()) else {
        return Ok(());
    };
    let path = weights.path.clone();
    if weights.files.is_some() {
        let help = "name the file of weights itself in `load_from.checkpoint`, or leave out `load_from.digest`";
        return Err(StageError::from(TrainError::DigestOfFolder { path }).with_help(help));
    }
    let found = FileDigests::of(&path)?;
    if found.contain(&expected) {
        return Ok(());
    }
    let help = "the file is another version, or its download is damaged: get it again, or correct `load_from.digest`";
    Err(StageError::from(TrainError::OtherDigest { path, expected, found }).with_help(help))
}

/// Adds what to do about a file without a state dict.
fn open_error(error: WeightsError) -> StageError {
    let help = matches!(error, WeightsError::NoStateDict { .. }).then_some(
        "save the state dict alone, as `torch.save(model.state_dict(), PATH)` does, or under the key `state_dict`",
    );
    let error = StageError::from(error);
    if let Some(help) = help { error.with_help(help) } else { error }
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

impl Weights {
    /// Reads the tensors, and the configuration beside them.
    fn open(&self) -> Result<(Checkpoint, Option<HfConfig>), WeightsError> {
        let Some(files) = &self.files else { return Ok((Checkpoint::open(&self.path)?, None)) };
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        Ok((Checkpoint::open_folder(&self.path, &files)?, HfConfig::of_folder(&self.path, &files)?))
    }
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
