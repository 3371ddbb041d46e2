//! [`EvaluateError`]: why the network cannot be evaluated.

use pipe_schemas::tables::MissingCounts;

/// Why the network cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The test list is empty, or nothing of it has samples.
    #[error("there are no test samples: {}", missing.why_no_samples("test"))]
    NoSamples {
        /// Why the videos of the test list have no samples.
        missing: MissingCounts,
    },
    /// The clips of the samples do not have the shape that the model takes.
    #[error("the samples are clips of {found}, the model takes {expected}")]
    OtherClips {
        /// Clips of the model, as `8 frames of 112x112 px`.
        expected: String,
        /// Clips of the samples.
        found: String,
    },
    /// The classes of the samples are not those of the model.
    #[error("the samples have classes {found:?}, the model has {expected:?}")]
    OtherClasses {
        /// Class names of the model.
        expected: Vec<String>,
        /// Class names of the samples.
        found: Vec<String>,
    },
    /// The samples have several labels per video, and the model was trained with one.
    #[error("the samples have several labels per video, but the model was trained with one")]
    SeveralLabels,
}
