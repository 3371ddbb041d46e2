//! [`TrainError`]: why there is nothing sensible to train.

use pipe_learn::LearnError;
use pipe_stage::StageError;

/// Why there is nothing sensible to train.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// More epochs than drawn.
    #[error("`train_cfg.max_epochs` is {max_epochs}, but only {drawn} epochs of samples were drawn")]
    Epochs {
        /// Asked for.
        max_epochs: u32,
        /// In the samples.
        drawn: u32,
    },
    /// The list is empty, or none of its videos could be decoded.
    #[error("there are no training samples: the training list has {num_missing} videos, all absent or undecodable")]
    NoSamples {
        /// Videos of the training list without samples.
        num_missing: u64,
    },
    /// An epoch has nothing that can be trained on.
    #[error("epoch {} has no samples", epoch + 1)]
    EmptyEpoch {
        /// From 0.
        epoch: u32,
    },
    /// The classes are not numbered from 0 without gaps.
    #[error("class {class_index} stands at place {place} of classes.parquet")]
    Classes {
        /// Its number.
        class_index: u32,
        /// Where it stands.
        place: usize,
    },
    /// A network that shifts between frames sees another number of frames in the test.
    #[error("{network} shifts between {train_frames} frames in training, but test clips have {test_frames}")]
    ShiftedFrames {
        /// Its name.
        network: String,
        /// `T` of a training clip.
        train_frames: u32,
        /// `T` of a test clip.
        test_frames: u32,
    },
    /// Parts were asked for that are no epochs in a row.
    #[error("epoch `{part}` is not the one that follows")]
    NotNext {
        /// The first that is out of place.
        part: String,
    },
    /// There are two files to start from.
    #[error("both `load_from` and the input `weights` say what to start from")]
    TwoStarts,
    /// The weights are not one file.
    #[error("the weights to start from are {num_files} files, not one")]
    Checkpoint {
        /// How many.
        num_files: usize,
    },
}

/// Why an epoch ended before its last step.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Training failed.
    Learn(LearnError),
    /// The request was told to stop.
    Stage(StageError),
}

impl From<LearnError> for Stopped {
    fn from(error: LearnError) -> Self {
        Self::Learn(error)
    }
}

impl Stopped {
    pub(crate) fn into_stage_error(self) -> StageError {
        match self {
            Self::Learn(error @ LearnError::Diverged { .. }) => StageError::from(error).with_help(
                "lower `optim_wrapper.optimizer.lr`, warm up with `LinearLR`, or set `optim_wrapper.clip_grad.max_norm`",
            ),
            Self::Learn(error) => error.into(),
            Self::Stage(error) => error,
        }
    }
}
