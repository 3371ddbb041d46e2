//! [`Inputs`]: the tables that samples are drawn from, checked against the parameters.

use crate::error::AugmentError;
use crate::list::{List, with_several_labels};
use pipe_schemas::stages::augment::{AugmentParams, EpochVideos};
use pipe_schemas::tables::{AnnotationRow, ClassRow, Labelling, Split};
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
    /// [`AugmentError::NoTraining`] or [`AugmentError::NoFrames`] if there is nothing to train on.
    pub(crate) fn lists(&self, context: &Context) -> Result<Lists<'_>, StageError> {
        let list = |split| List::read(context, &self.annotations, &self.shards, split);
        let lists = Lists { train: list(Split::Train)?, test: list(Split::Test)? };
        if lists.train.videos.is_empty() {
            return Err(AugmentError::no_training(&lists.train).into_stage_error());
        }
        Ok(lists)
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
    /// Warns of segments without a frame, and of a test list without videos.
    pub(crate) fn warn(&self, context: &Context) {
        self.train.warning("training").into_iter().chain(self.test.warning("test")).for_each(|text| context.warn(text));
        if self.test.videos.is_empty() {
            let listed = grouped(self.test.listed);
            context.warn(format!("none of the {listed} listed test videos is present: nothing can be evaluated"));
        }
    }
}
