//! [`PredictError`]: why an exported file, or a video, gives no prediction.

use pipe_clips::ClipError;
use pipe_infer::InferError;
use pipe_metrics::MetricsError;
use pipe_schemas::MetadataError;

/// Why an exported file, or a video, gives no prediction.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum PredictError {
    /// The file can't be run.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The file does not say how a video becomes its input.
    #[error("{model} can't be used for predictions")]
    Metadata {
        model: String,
        #[source]
        source: MetadataError,
    },
    /// The metadata and the network of the file contradict each other, or have values out of range.
    #[error("the metadata of {model} is not valid: {message}")]
    Invalid {
        model: String,
        /// What is wrong, as a lower-case fragment.
        message: String,
    },
    /// The network returns something else than logits.
    #[error("the network returns values of shape {found:?}, expected [{num_clips}, {num_classes}]")]
    Output {
        /// `N`.
        num_clips: usize,
        /// `K`.
        num_classes: usize,
        found: Vec<i64>,
    },
    /// The video is too short for the sampler.
    #[error("the video has {num_frames} frames, but a clip needs {min_frames}")]
    TooShort { num_frames: u32, min_frames: u32 },
    /// A view can't be made of the video.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// A transform makes a view of another size than the network takes.
    #[error("a view of this video has {found}, but the network takes {expected}")]
    ViewSize {
        /// As `112x112 px`.
        found: String,
        expected: String,
    },
    /// The views of a video take too much memory.
    #[error("the {num_views} views of this video need more than {} MB", limit_bytes >> 20)]
    TooLarge { num_views: usize, limit_bytes: usize },
    /// A frame that a view needs was not decoded.
    #[error("frame {frame_index} was not decoded")]
    FrameMissing { frame_index: u32 },
    /// An alert rule names a class that the network does not have.
    #[error("the network has no class `{class}`")]
    UnknownClass { class: String, labels: Vec<String> },
    /// The logits are not numbers.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// The most classes that an error lists.
const MAX_LISTED: usize = 20;

impl PredictError {
    /// Returns what the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Infer(error) => error.help(),
            Self::Metadata { .. } => Some(
                "use a file that a stage `export` or `optimize` of this version wrote; it contains labels and preprocessing"
                    .into(),
            ),
            Self::TooLarge { .. } => Some("predict windows of it: `--window SECONDS`".into()),
            Self::UnknownClass { labels, .. } => Some(class_list(labels)),
            Self::Invalid { .. }
            | Self::Output { .. }
            | Self::TooShort { .. }
            | Self::Clip(_)
            | Self::ViewSize { .. }
            | Self::FrameMissing { .. }
            | Self::Metrics(_) => None,
        }
    }

    /// Returns whether only this video is at fault, so that others can still be predicted.
    pub fn is_of_video(&self) -> bool {
        match self {
            Self::TooShort { .. }
            | Self::Clip(_)
            | Self::ViewSize { .. }
            | Self::TooLarge { .. }
            | Self::FrameMissing { .. }
            | Self::Metrics(MetricsError::NotFinite { .. }) => true,
            Self::Infer(_)
            | Self::Metadata { .. }
            | Self::Invalid { .. }
            | Self::Output { .. }
            | Self::UnknownClass { .. }
            | Self::Metrics(_) => false,
        }
    }
}

fn class_list(labels: &[String]) -> String {
    let listed: Vec<String> = labels.iter().take(MAX_LISTED).map(|label| format!("`{label}`")).collect();
    let others = labels.len().saturating_sub(MAX_LISTED);
    let others =
        if others > 0 { format!(" and {others} more: see the key `labels` of its metadata") } else { String::new() };
    format!("its classes are {}{others}", listed.join(", "))
}
