//! [`FramesError`].

/// What can go wrong while frames are made.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    /// The table holds no usable video.
    #[error("none of {num_videos} videos is readable")]
    NoVideos {
        /// Rows of the table.
        num_videos: usize,
    },
    /// A file is not what `ingest` saw.
    #[error("`{path}` has changed since `ingest` saw it")]
    Changed {
        /// As in the table.
        path: String,
    },
    /// A file can't be read.
    #[error("`{path}` can't be read")]
    Read {
        /// As in the table.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A video can't be decoded.
    #[error("the video `{video_id}` can't be used: {reason}")]
    Video {
        /// As in the table.
        video_id: String,
        /// In words.
        reason: String,
    },
    /// The system can't give what it gave just now.
    #[error("`{path}` can't be read while it is decoded: {reason}")]
    Lost {
        /// As in the table.
        path: String,
        /// In words.
        reason: String,
    },
    /// Not one video could be decoded.
    #[error("none of {num_videos} videos could be decoded")]
    NoneDecoded {
        /// Videos tried.
        num_videos: usize,
    },
    /// The table has no video in the bucket of a part.
    #[error("no usable video lies in bucket {part}")]
    NoSuchPart {
        /// Its name.
        part: String,
    },
    /// What a part says of its videos can't be understood.
    #[error("{} can't be understood", path.display())]
    Notes {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}
