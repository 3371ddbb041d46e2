//! [`Inputs`]: the tables that samples are drawn from, checked against the parameters.

use crate::error::AugmentError;
use crate::list::{List, with_several_labels};
use crate::missing::warnings;
use pipe_schemas::stages::augment::{AugmentParams, ClipPipeline, EpochVideos};
use pipe_schemas::tables::{AnnotationRow, ClassRow, Labelling, MissingRow, Split};
use pipe_stage::{Context, StageError, grouped};
use pipe_tables::LabelsFolder;
use pipe_tables::frames::FrameShards;

/// The parameters and the tables that samples are drawn from.
pub(crate) struct Inputs {
    pub(crate) params: AugmentParams,
    pub(crate) shards: FrameShards,
    pub(crate) classes: Vec<ClassRow>,
    pub(crate) labelling: Labelling,
    annotations: Vec<AnnotationRow>,
}

/// The videos and segments of both lists.
pub(crate) struct Lists<'a> {
    pub(crate) train: List<'a>,
    pub(crate) test: List<'a>,
}

impl Inputs {
    pub(crate) fn read(context: &Context) -> Result<Self, StageError> {
        let labels = LabelsFolder::open(context.input("labels")?);
        let inputs = Self {
            params: context.params()?,
            shards: FrameShards::open(context.input("frames")?)?,
            classes: labels.classes()?,
            labelling: labels.labelling()?,
            annotations: labels.annotations()?,
        };
        inputs.check_mirrored_labels().map_err(AugmentError::into_stage_error)?;
        inputs.check_labelling().map_err(AugmentError::into_stage_error)?;
        Ok(inputs)
    }

    /// Reads which videos and segments samples can be drawn from.
    ///
    /// # Errors
    /// [`AugmentError::NoTraining`] if there is nothing to train on.
    pub(crate) fn lists(&self, context: &Context) -> Result<Lists<'_>, StageError> {
        let list = |split, pipeline: &ClipPipeline| {
            List::read(context, &self.annotations, &self.shards, split, &pipeline.sampler)
        };
        let (train, test) = (list(Split::Train, &self.params.train)?, list(Split::Test, &self.params.test)?);
        if train.videos.is_empty() {
            return Err(AugmentError::no_training(&train).into_stage_error());
        }
        Ok(Lists { train, test })
    }

    /// Checks that a video has several labels only where `labelling` allows it, and that epochs can be drawn from such videos.
    fn check_labelling(&self) -> Result<(), AugmentError> {
        match self.labelling {
            Labelling::SingleLabel => match with_several_labels(&self.annotations) {
                Some(video) => Err(AugmentError::SeveralLabels { video }),
                None => Ok(()),
            },
            Labelling::MultiLabel if self.params.epoch_videos == EpochVideos::ClassBalanced => {
                Err(AugmentError::Balanced)
            }
            Labelling::MultiLabel => Ok(()),
        }
    }

    /// Checks that the labels of mirrored clips are classes.
    fn check_mirrored_labels(&self) -> Result<(), AugmentError> {
        let num_classes = self.classes.len();
        let mut transforms = self.params.train.transforms.iter().chain(&self.params.test.transforms);
        let unknown = |class_index: &u32| *class_index as usize >= num_classes;
        match transforms.find_map(|transform| transform.class_indices().into_iter().find(unknown)) {
            Some(class_index) => Err(AugmentError::FlipLabel { class_index, num_classes }),
            None => Ok(()),
        }
    }
}

impl Lists<'_> {
    /// Warns of videos and segments that can't be drawn from, and of a test list without any that can.
    pub(crate) fn warn(&self, context: &Context, params: &AugmentParams) {
        let of_train = warnings(&self.train.missing, "training", &params.train.sampler);
        let of_test = warnings(&self.test.missing, "test", &params.test.sampler);
        of_train.into_iter().chain(of_test).for_each(|text| context.warn(text));
        if self.test.videos.is_empty() {
            let num_listed = self.test.num_listed();
            let text = if num_listed == 0 {
                "the test list is empty".to_owned()
            } else {
                format!("there are no test samples: of {} listed, {}", grouped(num_listed), self.test.num_missing())
            };
            context.warn(format!("{text}; nothing can be evaluated"));
        }
    }

    /// Returns the rows of everything that no sample can be drawn from, sorted.
    pub(crate) fn missing(&self) -> Vec<MissingRow> {
        self.train.missing.iter().chain(&self.test.missing).map(|missing| missing.row.clone()).collect()
    }

    /// Returns a line of the summary: `missing: 2 of 8 training videos (2 absent)`. There is none if nothing is missing.
    pub(crate) fn summary_line(&self) -> Option<String> {
        let text = |list: &List<'_>, part: &str| {
            let (counts, num_listed) = (list.num_missing(), list.num_listed());
            let unit = match (list.has_segments(), num_listed) {
                (true, 1) => "segment",
                (true, _) => "segments",
                (false, 1) => "video",
                (false, _) => "videos",
            };
            let (total, listed) = (grouped(counts.total()), grouped(num_listed));
            (counts.total() > 0).then(|| format!("{total} of {listed} {part} {unit} ({counts})"))
        };
        let texts: Vec<String> =
            [text(&self.train, "training"), text(&self.test, "test")].into_iter().flatten().collect();
        (!texts.is_empty()).then(|| format!("missing: {}", texts.join(", ")))
    }
}
