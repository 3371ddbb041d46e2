//! [`FramesError`].

/// Why the stage `frames` failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum FramesError {
    /// The table has no usable video.
    #[error("none of the {num_videos} videos is readable")]
    NoVideos { num_videos: usize },
    /// The content of a file is not the one that `ingest` recorded.
    #[error("`{path}` has changed since `ingest` read it")]
    Changed { path: String },
    /// A file can't be read.
    #[error("`{path}` can't be read")]
    Read { path: String, source: std::io::Error },
    /// A video can't be decoded.
    #[error("the video `{video_id}` can't be used: {reason}")]
    Video { video_id: String, reason: String },
    /// A file that was read before can't be read again.
    #[error("`{path}` could not be read while it was decoded: {reason}")]
    Lost { path: String, reason: String },
    /// Decoding a file failed, and the file is not the cause.
    #[error("`{path}` could not be decoded: {failure}")]
    Machine {
        path: String,
        /// How the helper process ended, without other helpers beside it.
        failure: pipe_stage::HelperFailure,
    },
    /// No video could be decoded.
    #[error("none of the {num_videos} videos could be decoded")]
    NoneDecoded { num_videos: usize },
    /// The table has no video in the bucket of a part.
    #[error("bucket {part} has no usable video")]
    NoSuchPart {
        /// The name of the part, which is the number of its bucket.
        part: String,
    },
    /// A note of a part is damaged.
    #[error("{} is not valid JSON of videos with reasons", path.display())]
    Notes { path: std::path::PathBuf, source: serde_json::Error },
}
