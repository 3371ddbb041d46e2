//! [`EvaluateError`]: why there is nothing to measure.

/// Why there is nothing to measure.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The list is empty, or none of its videos could be decoded.
    #[error("there are no test samples: the test list has {num_missing} videos, all absent or undecodable")]
    NoSamples {
        /// Videos of the test list without samples.
        num_missing: u64,
    },
    /// The samples were drawn for other clips than the model takes.
    #[error("the samples are clips of {found}, the model takes {expected}")]
    OtherClips {
        /// Of the model, as `8 frames of 112x112 px`.
        expected: String,
        /// Of the samples.
        found: String,
    },
    /// The samples have other classes than the model.
    #[error("the samples have classes {found:?}, the model has {expected:?}")]
    OtherClasses {
        /// Of the model.
        expected: Vec<String>,
        /// Of the samples.
        found: Vec<String>,
    },
    /// The samples have several labels, and the model tells only one.
    #[error("the samples have several labels, but the model was trained with one a video")]
    SeveralLabels,
}
