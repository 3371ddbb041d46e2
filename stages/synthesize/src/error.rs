//! [`SynthesizeError`]: why the stage failed.

use pipe_video::VideoError;

/// Why the stage `synthesize` failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum SynthesizeError {
    /// A clip can't be encoded.
    #[error("the clip {path} can't be encoded")]
    Encode {
        /// Path of the clip in the folder `videos`.
        path: String,
        source: VideoError,
    },
}
