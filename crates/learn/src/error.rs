//! [`LearnError`]: what can go wrong with a network.

use pipe_clips::ClipError;
use pipe_weights::{MatchError, WeightsError};
use std::path::PathBuf;

/// What can go wrong with a network.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// libtorch refuses, most often for want of memory.
    #[error("libtorch failed at {at}: {message}")]
    Torch {
        /// At which node or step.
        at: String,
        /// What it says.
        message: String,
    },
    /// A batch has another shape than the network's input.
    #[error("the network takes clips of shape {expected:?}, not {found:?}")]
    InputShape {
        /// `[C, T, H, W]` of the network.
        expected: Vec<usize>,
        /// `[C, T, H, W]` of the batch.
        found: Vec<i64>,
    },
    /// A label is no class of the network.
    #[error("label {class_index} is no class of a network of {num_classes}")]
    Label {
        /// The label.
        class_index: i64,
        /// Classes of the network.
        num_classes: usize,
    },
    /// Training left the finite numbers.
    #[error("the {what} is not finite in epoch {}, step {}", epoch + 1, step + 1)]
    Diverged {
        /// Loss or gradient.
        what: &'static str,
        /// From 0.
        epoch: u32,
        /// From 0.
        step: usize,
    },
    /// A tensor of the network is not finite.
    #[error("tensor `{name}` holds numbers that are not finite")]
    NotFinite {
        /// Its name.
        name: String,
    },
    /// The network answered with numbers that are not finite.
    #[error("the logits of `{video_id}` are not finite")]
    Logits {
        /// Which video.
        video_id: String,
    },
    /// Clips can't be loaded.
    #[error(transparent)]
    Clips(#[from] ClipError),
    /// A checkpoint can't be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A checkpoint does not fit.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// A checkpoint of this program's own lacks tensors.
    #[error("{} is not of this network: it lacks {}", path.display(), missing.join(", "))]
    Incomplete {
        /// The checkpoint.
        path: PathBuf,
        /// Names of tensors.
        missing: Vec<String>,
    },
    /// Two graphs that should share their tensors don't have the same.
    #[error("{network} has other tensors for test clips than for training clips")]
    OtherTensors {
        /// Its name.
        network: String,
    },
    /// The network can't be built.
    #[error(transparent)]
    Model(#[from] pipe_models::ModelError),
    /// The model was trained with another definition of the network.
    #[error("the model in {} was trained with another definition of the network ({found}, now {expected})", path.display())]
    OtherGraph {
        /// The model's folder.
        path: PathBuf,
        /// Digest now.
        expected: String,
        /// Digest in its card.
        found: String,
    },
    /// The description of a model can't be read or written.
    #[error(transparent)]
    Table(#[from] pipe_tables::TableError),
}

/// Adds where it was to an error of libtorch.
pub(crate) trait At<T> {
    fn at(self, at: &str) -> Result<T, LearnError>;
}

impl<T> At<T> for Result<T, tch::TchError> {
    fn at(self, at: &str) -> Result<T, LearnError> {
        self.map_err(|error| {
            let text = match error {
                tch::TchError::Torch(text) => text,
                other => other.to_string(),
            };
            // What follows the first line is the stack of its C++ code.
            let message = text.lines().next().unwrap_or_default().to_owned();
            LearnError::Torch { at: at.to_owned(), message }
        })
    }
}
