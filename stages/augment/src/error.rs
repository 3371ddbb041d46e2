//! [`AugmentError`]: why samples can't be drawn.

use crate::list::List;
use pipe_clips::ClipError;
use pipe_stage::{StageError, grouped};
use std::path::PathBuf;

/// Why samples can't be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AugmentError {
    /// No listed training video can be drawn from.
    #[error(
        "there is nothing to train on: {} of {} listed training videos are present, and none of these is in the frame \
         shards",
        grouped(*labelled), grouped(*listed)
    )]
    NoTraining {
        /// Number of videos in the training list.
        listed: u64,
        /// Number of those that `annotations` found.
        labelled: u64,
    },
    /// Classes can't be balanced if a video may have several labels.
    #[error("`epoch_videos: class_balanced` needs one label per video, but videos may have several")]
    Balanced,
    /// The labels contradict `labelling.json`. A loss for one label would use only the first of several.
    #[error("`{video}` has several labels, but `labelling.json` allows one per video")]
    SeveralLabels {
        /// First video or segment with several labels.
        video: String,
    },
    /// No training segment contains a frame.
    #[error("there is nothing to train on: no training segment contains a frame, for example {example}")]
    NoFrames {
        /// First segment, with its place in the list.
        example: String,
    },
    /// A pipeline does not fit a video.
    #[error("the {part} pipeline does not fit the frames")]
    Draw {
        /// `train` or `test`.
        part: &'static str,
        /// Error of the first video that does not fit.
        source: ClipError,
    },
    /// `flip_label_map` names a class that does not exist.
    #[error("`flip_label_map` names class {class_index}, but there are {num_classes} classes, counted from 0")]
    FlipLabel {
        /// Class index in the map.
        class_index: u32,
        /// Number of classes in the labels.
        num_classes: usize,
    },
    /// A bug: the engine asks for a part that was not planned, or leaves one out.
    #[error("`{part}` is not a part of this stage")]
    UnknownPart {
        /// Name of the part.
        part: String,
    },
    /// The contact sheet can't be written.
    #[error("can't write {}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// Error of the PNG library.
        source: png::EncodingError,
    },
    /// Clips have different sizes, and a network takes one size.
    #[error(
        "clips differ in size: {first_part} clips of `{first_video}` have {}x{} px, {part} clips of `{video}` {}x{} px",
        first.0, first.1, found.0, found.1
    )]
    MixedSizes {
        /// Pipeline of the first clip: `train` or `test`.
        first_part: String,
        /// Video of the first clip.
        first_video: String,
        /// Width and height of the first clip.
        first: (u32, u32),
        /// Pipeline of the other clip: `train` or `test`.
        part: String,
        /// First video whose clips differ.
        video: String,
        /// Width and height of its clips.
        found: (u32, u32),
    },
}

impl AugmentError {
    /// Returns the reason why nothing of a training list can be drawn from.
    pub(crate) fn no_training(list: &List<'_>) -> Self {
        match list.without_frames.first() {
            Some(example) if list.without_frames.len() as u64 == list.listed => {
                Self::NoFrames { example: example.clone() }
            }
            _ => Self::NoTraining { listed: list.listed, labelled: list.labelled },
        }
    }

    /// Adds a hint for the user.
    pub(crate) fn into_stage_error(self) -> StageError {
        let help = self.help();
        StageError::from(self).with_help(help)
    }

    fn help(&self) -> &'static str {
        match self {
            Self::NoTraining { listed: 0, .. } => "the training list is empty; see the `annotations` stage",
            Self::NoTraining { labelled: 0, .. } => {
                "none of them is in the folder of videos; check `root` and `include` of the `ingest` stage"
            }
            Self::NoTraining { .. } => "see the warnings of the `frames` stage",
            Self::Balanced => "use `epoch_videos: each`, or annotations without `multi_class`",
            Self::SeveralLabels { .. } => "the labels were not written by the `annotations` stage",
            Self::NoFrames { .. } => "times must be in seconds from the start of each video",
            Self::Draw { .. } => "put a `Resize` before the crop, so that small frames are large enough",
            Self::FlipLabel { .. } => "see `classes.parquet` of the `annotations` stage for class indices",
            Self::UnknownPart { .. } => "this is a bug in pipe; please report it",
            Self::Picture { .. } => "check free disk space and permissions",
            Self::MixedSizes { .. } => {
                "end `train.transforms` and `test.transforms` with `{ type: Resize, scale: { exact: [W, H] } }`, or with \
                 crops of one size"
            }
        }
    }
}
