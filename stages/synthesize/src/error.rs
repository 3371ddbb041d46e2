//! [`SynthesizeError`].

use pipe_video::VideoError;

/// What can go wrong while clips are made.
#[derive(Debug, thiserror::Error)]
pub enum SynthesizeError {
    /// A clip can't be encoded.
    #[error("the clip {path} can't be encoded")]
    Encode {
        /// Below the output folder.
        path: String,
        /// Why.
        source: VideoError,
    },
}
