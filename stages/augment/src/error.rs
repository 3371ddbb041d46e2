//! [`AugmentError`]: why no samples can be drawn.

use crate::list::List;
use pipe_clips::ClipError;
use pipe_stage::{StageError, grouped};
use std::path::PathBuf;

/// Why no samples can be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AugmentError {
    /// There is nothing to train on.
    #[error(
        "there is nothing to train on: of {} listed training videos {} are present, and none of these is in the frame \
         shards",
        grouped(*listed), grouped(*labelled)
    )]
    NoTraining {
        /// In the training list.
        listed: u64,
        /// Of those, found by `annotations`.
        labelled: u64,
    },
    /// No class can be shown as often as the others.
    #[error("`epoch_videos: class_balanced` needs one label a video, and there may be several")]
    Balanced,
    /// A loss for one label would see the first of them only.
    #[error("`{video}` has several labels, but `labelling.json` says that each video has one")]
    SeveralLabels {
        /// The first such video or segment.
        video: String,
    },
    /// There is nothing to train on because no segment has a frame.
    #[error("there is nothing to train on: no training segment has a frame in it, as {example}")]
    NoFrames {
        /// The first segment.
        example: String,
    },
    /// A pipeline does not fit a video.
    #[error("the {part} pipeline does not fit the frames")]
    Draw {
        /// `train` or `test`.
        part: &'static str,
        /// Which video, and why.
        source: ClipError,
    },
    /// `flip_label_map` leads out of the classes.
    #[error("`flip_label_map` leads to class {class_index}, but there are {num_classes} classes, from 0")]
    FlipLabel {
        /// The class that it names.
        class_index: u32,
        /// In the labels.
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
        /// What the library says.
        source: png::EncodingError,
    },
    /// The network can take one size only.
    #[error(
        "clips differ in size: {first_part} clips of `{first_video}` have {}x{} px, {part} clips of `{video}` {}x{} px",
        first.0, first.1, found.0, found.1
    )]
    MixedSizes {
        /// `train` or `test`.
        first_part: String,
        /// The video seen first.
        first_video: String,
        /// Its width and height.
        first: (u32, u32),
        /// `train` or `test`.
        part: String,
        /// The first one that differs.
        video: String,
        /// Its width and height.
        found: (u32, u32),
    },
}

impl AugmentError {
    /// Says why a list leaves nothing to train on.
    pub(crate) fn no_training(list: &List<'_>) -> Self {
        match list.without_frames.first() {
            Some(example) if list.without_frames.len() as u64 == list.listed => {
                Self::NoFrames { example: example.clone() }
            }
            _ => Self::NoTraining { listed: list.listed, labelled: list.labelled },
        }
    }

    /// Adds what the user can do.
    pub(crate) fn into_stage_error(self) -> StageError {
        let help = self.help();
        StageError::from(self).with_help(help)
    }

    fn help(&self) -> &'static str {
        match self {
            Self::NoTraining { listed: 0, .. } => "the training list is empty; look at the `annotations` stage",
            Self::NoTraining { labelled: 0, .. } => {
                "none of them lies in the folder of videos; look at `root` and `include` of the `ingest` stage"
            }
            Self::NoTraining { .. } => "look at the warnings of the `frames` stage",
            Self::Balanced => "`epoch_videos: each`, or lists without `multi_class`",
            Self::SeveralLabels { .. } => "the labels are not as the `annotations` stage writes them",
            Self::NoFrames { .. } => "are the times in seconds, and from the start of the videos that are here?",
            Self::Draw { .. } => "a `Resize` before the crop makes small frames large enough",
            Self::FlipLabel { .. } => "class indices are those of `classes.parquet` of the `annotations` stage",
            Self::UnknownPart { .. } => "this is a bug in pipe; please report it",
            Self::Picture { .. } => "is there room on the disk?",
            Self::MixedSizes { .. } => {
                "end `train.transforms` and `test.transforms` with `{ type: Resize, scale: { exact: [W, H] } }`, or with \
                 crops of one size"
            }
        }
    }
}
