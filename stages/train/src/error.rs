//! [`TrainError`]: why training cannot start.

use pipe_learn::LearnError;
use pipe_schemas::Rule;
use pipe_schemas::tables::Labelling;
use pipe_stage::StageError;

/// Why training cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// More epochs are asked for than were drawn.
    #[error("`train_cfg.max_epochs` is {max_epochs}, but only {drawn} epochs of samples were drawn")]
    Epochs {
        /// The value of `max_epochs`.
        max_epochs: u32,
        /// Number of epochs in the samples.
        drawn: u32,
    },
    /// The training list is empty, or none of its videos could be decoded.
    #[error("there are no training samples: the training list has {num_missing} videos, all missing or undecodable")]
    NoSamples {
        /// Number of videos in the training list that have no samples.
        num_missing: u64,
    },
    /// An epoch has no clips.
    #[error("epoch {} has no samples", epoch + 1)]
    EmptyEpoch {
        /// Counted from 0.
        epoch: u32,
    },
    /// The classes are not numbered from 0 without gaps.
    #[error("row {place} of classes.parquet has the class index {class_index}")]
    Classes {
        /// The index in the row.
        class_index: u32,
        /// The number of the row, counted from 0.
        place: usize,
    },
    /// A network that shifts between frames gets a different number of frames in the test.
    #[error("{network} shifts between {train_frames} frames in training, but test clips have {test_frames}")]
    ShiftedFrames {
        /// Name of the network.
        network: String,
        /// `T` of a training clip.
        train_frames: u32,
        /// `T` of a test clip.
        test_frames: u32,
    },
    /// The loss is not defined for the labels.
    #[error("the loss `model.cls_head.loss_cls` is not defined for {}", labels(*labelling))]
    LossLabelling {
        /// The labelling of the samples.
        labelling: Labelling,
    },
    /// A monitored metric does not exist.
    #[error("`{metric}` is not a metric of the validation; expected one of {known}")]
    UnknownMetric {
        /// The value of `monitor`.
        metric: String,
        /// The metrics for the labelling of the samples.
        known: String,
    },
    /// A monitored metric is better where the parameters take it for worse.
    #[error("`monitor: {metric}` needs `rule: {}`", rule_name(*rule))]
    OppositeRule {
        /// The value of `monitor`.
        metric: String,
        /// The rule that fits the metric.
        rule: Rule,
    },
    /// A metric is monitored, but there is no validation.
    #[error("`monitor: {metric}` needs a validation, but `val_interval` is 0 or there are no test samples")]
    NoValidation {
        /// The value of `monitor`.
        metric: String,
    },
    /// The requested parts are not consecutive epochs.
    #[error("epoch `{part}` does not follow the epoch before it")]
    NotNext {
        /// The first part that is out of order.
        part: String,
    },
    /// There are two files to start from.
    #[error("both `load_from` and the input `weights` name weights to start from")]
    TwoStarts,
    /// The input `weights` is not a single file.
    #[error("expected one file of weights to start from, found {num_files}")]
    Checkpoint {
        /// Number of files in the input.
        num_files: usize,
    },
}

fn labels(labelling: Labelling) -> &'static str {
    match labelling {
        Labelling::SingleLabel => "videos with one label",
        Labelling::MultiLabel => "videos with several labels",
    }
}

fn rule_name(rule: Rule) -> &'static str {
    match rule {
        Rule::Greater => "greater",
        Rule::Less => "less",
    }
}

/// Why an epoch ended before its last step.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Training failed.
    Learn(LearnError),
    /// The request was cancelled.
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
