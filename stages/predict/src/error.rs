//! [`PredictStageError`]: why there is no prediction of a video although it may be readable.

use pipe_stage::HelperFailure;
use std::path::PathBuf;

/// Why there is no prediction of a video although it may be readable.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum PredictStageError {
    /// Decoding a file failed, and the file is not the cause.
    #[error("{} could not be decoded: {failure}", path.display())]
    Machine { path: PathBuf, failure: HelperFailure },
    /// A thread that decodes panicked.
    #[error("a thread that decodes videos panicked")]
    Panicked,
    /// A video is longer than the caller allows.
    #[error("the video has more than {max_windows} windows")]
    TooManyWindows { max_windows: usize },
}
