//! [`TrainedModel`]: the network of a model folder, written by `train` or `pretrained` and read by the stages after it.

use crate::{LearnError, Network, Normalisation};
use pipe_clips::{ClipSize, Takes};
use pipe_graph::{ClipShape, Graph};
use pipe_models::{LoadReport, without_channels};
use pipe_schemas::RemovedChannels;
use pipe_schemas::networks::ModelParams;
use pipe_schemas::tables::{ModelCard, Preprocessing};
use pipe_tables::ModelFolder;
use pipe_weights::{Checkpoint, write_safetensors};
use std::path::Path;

/// A trained network for test clips.
#[derive(Debug)]
pub struct TrainedModel {
    /// The network, its classes and the format of its clips.
    pub card: ModelCard,
    /// The network for clips of `card.preprocessing.test_frames` frames.
    pub network: Network,
}

/// The origin of the first weights.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum WeightsReport {
    /// They were loaded from a checkpoint.
    Loaded(Box<LoadReport>),
    /// They are those of the model that was optimised.
    Kept {
        /// Number of tensors.
        kept: usize,
    },
    /// They are random.
    Initialised {
        /// Number of tensors.
        initialised: usize,
    },
}

impl TrainedModel {
    /// Builds the graph of `model` for clips of `frames` frames, without the channels that `pruning` has removed.
    pub fn graph(
        model: &ModelParams,
        frames: u32,
        preprocessing: &Preprocessing,
        num_classes: usize,
        pruning: &[RemovedChannels],
    ) -> Result<Graph, LearnError> {
        let (height, width) = (preprocessing.height_px as usize, preprocessing.width_px as usize);
        let clip = ClipShape { channels: 3, frames: frames as usize, height, width };
        Ok(without_channels(pipe_models::build(model, clip, num_classes)?, pruning)?)
    }

    /// Writes the folder.
    pub fn write(dir: &Path, card: &ModelCard, network: &Network, report: &WeightsReport) -> Result<(), LearnError> {
        let folder = ModelFolder::write(dir, card, report)?;
        Ok(write_safetensors(&folder.checkpoint_path(), &network.tensors())?)
    }

    /// Reads the folder.
    ///
    /// # Errors
    /// [`LearnError::OtherGraph`] if the definition of the network has changed since it was trained.
    pub fn open(dir: &Path) -> Result<Self, LearnError> {
        let folder = ModelFolder::open(dir);
        let card = folder.card()?;
        let graph = |frames| Self::graph(&card.model, frames, &card.preprocessing, card.classes.len(), &card.pruning);
        let expected = graph(card.preprocessing.train_frames)?.digest().to_hex().to_string();
        if expected != card.graph_digest {
            return Err(LearnError::OtherGraph { path: dir.into(), expected, found: card.graph_digest });
        }
        let mut network = Network::new(graph(card.preprocessing.test_frames)?, 0);
        let path = folder.checkpoint_path();
        let missing = network.load(Checkpoint::open(&path)?)?.reinitialised;
        if missing.is_empty() { Ok(Self { card, network }) } else { Err(LearnError::Incomplete { path, missing }) }
    }

    /// Returns the size of a test clip.
    pub fn clip_size(&self) -> ClipSize {
        ClipSize::of_test_views(&self.card.preprocessing)
    }

    /// Returns what the network takes; `name` stands for it in messages.
    pub fn takes<'a>(&'a self, name: &'a str) -> Takes<'a> {
        let labelling = self.card.preprocessing.labelling;
        Takes { name, clip_size: self.clip_size(), labelling, classes: &self.card.classes }
    }

    /// Returns the normalisation of pixels.
    pub fn normalisation(&self) -> Normalisation {
        Normalisation::new(&self.card.model.data_preprocessor)
    }
}
