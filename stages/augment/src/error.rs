//! [`AugmentError`]: why samples can't be drawn.

use crate::list::List;
use pipe_clips::ClipError;
use pipe_schemas::tables::MissingCounts;
use pipe_stage::{StageError, grouped};
use std::path::PathBuf;

/// Why samples can't be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AugmentError {
    /// No listed training video can be drawn from.
    #[error(
        "there is nothing to train on: of {} listed training videos or segments, {counts}, for example {example}",
        grouped(*num_listed)
    )]
    NoTraining {
        /// Number of videos and segments in the training list.
        num_listed: u64,
        /// Why they can't be drawn from.
        counts: MissingCounts,
        /// The first one, with its place in the list.
        example: String,
    },
    /// The training list is empty.
    #[error("there is nothing to train on: the training list is empty")]
    EmptyList,
    /// Classes can't be balanced if a video may have several labels.
    #[error("`epoch_videos: class_balanced` needs one label per video, but videos may have several")]
    Balanced,
    /// The labels contradict `labelling.json`. A loss for one label would use only the first of several.
    #[error("`{video}` has several labels, but `labelling.json` allows one per video")]
    SeveralLabels {
        /// First video or segment with several labels.
        video: String,
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
    FlipLabel { class_index: u32, num_classes: usize },
    /// A bug: the engine asks for a part that was not planned, or leaves one out.
    #[error("`{part}` is not a part of this stage")]
    UnknownPart { part: String },
    /// The contact sheet can't be written.
    #[error("can't write {}", path.display())]
    Picture { path: PathBuf, source: std::io::Error },
    /// Clips have different sizes, and a network takes one size.
    #[error(
        "clips differ in size: {first_part} clips of `{first_video}` have {}x{} px, {part} clips of `{video}` {}x{} px",
        first.0, first.1, found.0, found.1
    )]
    MixedSizes {
        /// Pipeline of the first clip: `train` or `test`.
        first_part: String,
        first_video: String,
        first: (u32, u32),
        /// Pipeline of the other clip: `train` or `test`.
        part: String,
        video: String,
        found: (u32, u32),
    },
}

impl AugmentError {
    /// Returns the reason why nothing of a training list can be drawn from.
    pub(crate) fn no_training(list: &List<'_>) -> Self {
        match list.missing.first() {
            None => Self::EmptyList,
            Some(first) => Self::NoTraining {
                num_listed: list.num_listed(),
                counts: list.num_missing(),
                example: first.name.clone(),
            },
        }
    }

    /// Adds a hint for the user.
    pub(crate) fn into_stage_error(self) -> StageError {
        let help = self.help();
        StageError::from(self).with_help(help)
    }

    fn help(&self) -> &'static str {
        match self {
            Self::EmptyList => "see the `annotations` stage",
            Self::NoTraining { counts, .. } => help_of_missing(counts),
            Self::Balanced => "use `epoch_videos: each`, or annotations without `multi_class`",
            Self::SeveralLabels { .. } => "the labels were not written by the `annotations` stage",
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

/// Returns the hint for the most frequent reason.
fn help_of_missing(counts: &MissingCounts) -> &'static str {
    let MissingCounts { num_absent, num_not_in_shards, num_without_frames, num_too_short } = *counts;
    let helps = [
        (num_absent, "check `root` and `include` of the `ingest` stage, and its verdicts in `videos.parquet`"),
        (num_not_in_shards, "see the warnings of the `frames` stage"),
        (num_without_frames, "times must be in seconds from the start of each video"),
        (num_too_short, "use a sampler for short videos, such as `SampleFrames`, or a smaller `clip_interval`"),
    ];
    helps.into_iter().max_by_key(|(count, _)| *count).map_or("", |(_, help)| help)
}
