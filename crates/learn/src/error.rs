//! [`LearnError`]: why a network cannot be run or trained.

use pipe_clips::ClipError;
use pipe_weights::{MatchError, WeightsError};
use std::path::PathBuf;

/// Why a network cannot be run or trained.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum LearnError {
    /// libtorch reported an error, most often that there is not enough memory.
    #[error("libtorch failed at {at}: {message}")]
    Torch {
        /// Name of the node or of the operation.
        at: String,
        message: String,
    },
    /// Processes can't work together.
    #[error(transparent)]
    Group(#[from] crate::GroupError),
    /// A device can't be used.
    #[error(transparent)]
    Device(#[from] crate::DeviceError),
    /// The network can't be frozen as asked.
    #[error(transparent)]
    Freeze(#[from] crate::FreezeError),
    /// Settings of single tensors do not fit the network.
    #[error(transparent)]
    ParamGroups(#[from] crate::ParamGroupsError),
    /// A network can't be pruned as asked.
    #[error(transparent)]
    Prune(#[from] pipe_graph::passes::PruneError),
    /// A network can't be rewritten for inference.
    #[error(transparent)]
    Rewrite(#[from] pipe_graph::GraphError),
    /// A batch does not have the shape of the network's input.
    #[error("the network takes clips of shape {expected:?}, not {found:?}")]
    InputShape {
        /// `[C, T, H, W]` of the network.
        expected: Vec<usize>,
        /// `[C, T, H, W]` of the batch.
        found: Vec<i64>,
    },
    /// A label is not a class of the network.
    #[error("label {class_index} is out of range: the network has {num_classes} classes")]
    Label {
        /// The label, counted from 0.
        class_index: i64,
        num_classes: usize,
    },
    /// The loss or a gradient became NaN or infinite.
    #[error("the {what} is not finite in epoch {}, step {}", epoch + 1, step + 1)]
    Diverged {
        /// `loss` or `gradient`.
        what: &'static str,
        /// Counted from 0.
        epoch: u32,
        /// Counted from 0.
        step: usize,
    },
    /// This machine does not compute in 16 bits.
    #[error("training in {dtype} is not possible here: {reason}")]
    LowPrecision {
        /// The value of `dtype`.
        dtype: &'static str,
        /// What is missing.
        reason: &'static str,
    },
    /// A tensor of the network contains NaN or infinity.
    #[error("tensor `{name}` contains NaN or infinity")]
    NotFinite { name: String },
    /// Clips cannot be loaded.
    #[error(transparent)]
    Clips(#[from] ClipError),
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tensors of a checkpoint do not match those of the network.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// A checkpoint that `pipe` wrote is incomplete.
    #[error("{} does not belong to this network: tensors {} are missing", path.display(), missing.join(", "))]
    Incomplete { path: PathBuf, missing: Vec<String> },
    /// Two graphs that share their tensors do not have the same ones.
    #[error("the tensors of {network} for test clips are not those for training clips")]
    OtherTensors { network: String },
    /// The network cannot be built.
    #[error(transparent)]
    Model(#[from] pipe_models::ModelError),
    /// The definition of the network has changed since the model was trained.
    #[error("the model in {} was trained with another definition of the network ({found}, now {expected})", path.display())]
    OtherGraph { path: PathBuf, expected: String, found: String },
    /// A file of a model cannot be read or written.
    #[error(transparent)]
    Table(#[from] pipe_tables::TableError),
}

impl LearnError {
    /// Returns that another process was lost, if an operation of libtorch failed because of that: a batch normalisation over all processes.
    pub(crate) fn or_lost(self) -> Self {
        if let Self::Torch { message, .. } = &self
            && message.contains("/gloo/")
        {
            return Self::Group(crate::process_group::lost(message.clone()));
        }
        self
    }

    /// Returns whether memory for a tensor was missing.
    pub fn is_out_of_memory(&self) -> bool {
        let Self::Torch { message, .. } = self else { return false };
        let message = message.to_lowercase();
        ["not enough memory", "out of memory", "can't allocate memory"].iter().any(|text| message.contains(text))
    }
}

/// Adds the name of the operation to an error of libtorch.
pub(crate) trait At<T> {
    fn at(self, at: &str) -> Result<T, LearnError>;
}

impl<T> At<T> for Result<T, tch::TchError> {
    fn at(self, at: &str) -> Result<T, LearnError> {
        self.map_err(|error| {
            let text = if let tch::TchError::Torch(text) = error { text } else { error.to_string() };
            // The lines after the first are the C++ stack.
            let message = text.lines().next().unwrap_or_default().to_owned();
            LearnError::Torch { at: at.to_owned(), message }
        })
    }
}
