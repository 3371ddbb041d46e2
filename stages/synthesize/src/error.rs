//! [`SynthesizeError`]: why the stage failed.

use pipe_video::VideoError;

/// Why the stage `synthesize` failed.
#[derive(Debug, thiserror::Error)]
pub enum SynthesizeError {
    /// A clip can't be encoded.
    #[error("the clip {path} can't be encoded")]
    Encode {
        /// Path of the clip in the folder `videos`.
        path: String,
        /// The error of the encoder.
        source: VideoError,
    },
}
