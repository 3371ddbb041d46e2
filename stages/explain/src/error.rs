//! [`ExplainError`]: why videos can't be explained.

/// Why videos can't be explained.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum ExplainError {
    /// A video of `videos` is not among the samples.
    #[error("no test sample is from a video `{name}`; similar names are {}", similar.join(", "))]
    UnknownVideo { name: String, similar: Vec<String> },
    /// A name of `videos` fits several videos.
    #[error("`{name}` is the name of {} videos: {}", videos.len(), videos.join(", "))]
    SeveralVideos { name: String, videos: Vec<String> },
    /// All test videos are predicted correctly.
    #[error("there are no mistakes to explain: all {num_videos} test videos are predicted correctly")]
    NoMistakes { num_videos: usize },
    /// The class is not one of the model.
    #[error("the model has no class `{name}`; similar names are {}", similar.join(", "))]
    UnknownClass { name: String, similar: Vec<String> },
    /// The index is not that of a class.
    #[error("class {index} is out of range: the model has {num_classes} classes, counted from 0")]
    ClassOutOfRange { index: u32, num_classes: usize },
    /// A method is not possible with the network.
    #[error("`{method}` can't explain this network")]
    Method {
        method: &'static str,
        #[source]
        source: pipe_learn::ExplainError,
    },
    /// The probability of a class or a heat map is NaN.
    #[error("the heat map of {video_id} contains NaN or infinity; the network's weights may be broken")]
    NotFinite { video_id: String },
    /// The picture or a video can't be written.
    #[error("{what} can't be written")]
    Write {
        /// The file, such as `contact_sheet.png`.
        what: String,
        source: std::io::Error,
    },
    /// A video can't be encoded.
    #[error("the video {path} can't be encoded")]
    Encode { path: String, source: pipe_video::VideoError },
}

/// Maximum number of names in a message.
const MAX_SIMILAR: usize = 3;

/// Returns the names that are most like `name`, best first.
pub(crate) fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_by_key(|known| strsim::damerau_levenshtein(name, known));
    known.into_iter().take(MAX_SIMILAR).map(|known| format!("`{known}`")).collect()
}
