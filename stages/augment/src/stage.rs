//! [`Augment`]: reads the tables, draws, and writes the samples.

use crate::clips::{self, Clips};
use crate::draw::{Drawn, Size, test_views, train_epoch};
use crate::error::AugmentError;
use crate::list::{List, Video, with_several_labels};
use crate::sheet;
use fs_err as fs;
use pipe_clips::ClipSize;
use pipe_clips::sampler::frames_per_clip;
use pipe_schemas::stages::augment::{AugmentParams, CONTRACT, EpochVideos, Transform};
use pipe_schemas::tables::{AnnotationRow, ClassRow, Labelling, Preprocessing, SampleRow, Split};
use pipe_stage::{Context, Stage, StageError, Summary, grouped};
use pipe_tables::frames::FrameShards;
use pipe_tables::{read_rows, write_rows};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The stage `augment`.
pub struct Augment;

impl Stage for Augment {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: AugmentParams = context.params()?;
        let shards = FrameShards::open(context.input("frames")?)?;
        let labels = context.input("labels")?;
        let annotations: Vec<AnnotationRow> = read_rows(&labels.join("annotations.parquet"))?;
        let classes: Vec<ClassRow> = read_rows(&labels.join("classes.parquet"))?;
        check_labels(&params, classes.len()).map_err(AugmentError::into_stage_error)?;
        let labelling = serde_json::from_slice(&fs::read(labels.join("labelling.json"))?)?;
        check_labelling(&params, labelling, &annotations).map_err(AugmentError::into_stage_error)?;
        let list = |split| List::read(context, &annotations, &shards, split);
        let (train, test) = (list(Split::Train)?, list(Split::Test)?);
        train.warning("training").into_iter().chain(test.warning("test")).for_each(|text| context.warn(text));
        if train.videos.is_empty() {
            return Err(AugmentError::no_training(&train).into_stage_error());
        }
        if test.videos.is_empty() {
            let listed = grouped(test.listed);
            context.warn(format!("none of the {listed} listed test videos is present: nothing can be evaluated"));
        }
        let train_drawn = draw_epochs(context, &params, &train.videos)?;
        let test_drawn = test_views(&params.test, &test.videos).map_err(AugmentError::into_stage_error)?;
        let size = one_size(&train_drawn, &test_drawn)?;
        let preprocessing = Preprocessing {
            train_frames: frames_per_clip(&params.train.sampler),
            test_frames: frames_per_clip(&params.test.sampler),
            height_px: size.1,
            width_px: size.0,
            epochs: params.epochs,
            labelling,
            test: params.test.clone(),
            num_missing_test: test.listed - test.videos.len() as u64,
            num_missing_train: train.listed - train.videos.len() as u64,
        };
        let train_rows: Arc<[SampleRow]> = train_drawn.into_iter().flat_map(|epoch| epoch.rows).collect();
        write(context, &params, &train_rows, &test_drawn.rows.into(), &classes, &preprocessing)
    }
}

/// Writes all outputs, and returns what to say of them.
fn write(
    context: &Context,
    params: &AugmentParams,
    train: &Arc<[SampleRow]>,
    test: &Arc<[SampleRow]>,
    classes: &[ClassRow],
    preprocessing: &Preprocessing,
) -> Result<Summary, StageError> {
    let frames = context.input("frames")?;
    let Preprocessing { train_frames, height_px, width_px, .. } = *preprocessing;
    let size = ClipSize { frames: train_frames as usize, height: height_px as usize, width: width_px as usize };
    let first_epoch = &train[..train.partition_point(|row| row.epoch == 0)];
    sheet::write(&context.output("contact_sheet.png")?, frames, first_epoch, classes, size, context.threads())?;
    write_samples(&context.output("samples")?, train, test, classes, preprocessing)?;
    let (clips, views) = (grouped(first_epoch.len() as u64), grouped(test.len() as u64));
    let epochs = grouped(u64::from(params.epochs));
    let mut lines = vec![format!("{clips} training clips x {epochs} epochs, {views} test views")];
    if let Some(store) = &params.store_clips {
        let clips = Clips { frames, train, test, preprocessing, num_classes: classes.len() };
        lines.push(clips::write(context, store, &clips, &context.output("clips")?)?);
    }
    Ok(Summary::lines(lines))
}

/// Checks that the labels are as many a video as `labelling` says, and that an epoch can be made of such.
fn check_labelling(
    params: &AugmentParams,
    labelling: Labelling,
    annotations: &[AnnotationRow],
) -> Result<(), AugmentError> {
    match labelling {
        Labelling::SingleLabel => match with_several_labels(annotations) {
            Some(video) => Err(AugmentError::SeveralLabels { video }),
            None => Ok(()),
        },
        Labelling::MultiLabel if params.epoch_videos == EpochVideos::ClassBalanced => Err(AugmentError::Balanced),
        Labelling::MultiLabel => Ok(()),
    }
}

/// Checks that mirrored clips get labels that there are.
fn check_labels(params: &AugmentParams, num_classes: usize) -> Result<(), AugmentError> {
    let maps = params.train.transforms.iter().chain(&params.test.transforms).filter_map(|transform| match transform {
        Transform::Flip { flip_label_map, .. } => Some(flip_label_map),
        _ => None,
    });
    match maps.flat_map(BTreeMap::values).find(|class_index| **class_index as usize >= num_classes) {
        Some(class_index) => Err(AugmentError::FlipLabel { class_index: *class_index, num_classes }),
        None => Ok(()),
    }
}

/// Draws all epochs, in order, on the threads that the stage may use.
fn draw_epochs(context: &Context, params: &AugmentParams, videos: &[Video<'_>]) -> Result<Vec<Drawn>, StageError> {
    let done = AtomicU64::new(0);
    let draw = |epoch| {
        context.check_cancelled()?;
        let drawn = train_epoch(params, videos, epoch).map_err(AugmentError::into_stage_error)?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        context.progress(done, u64::from(params.epochs), "epochs");
        Ok(drawn)
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(context.threads()).build()?;
    let epochs: Vec<Result<Drawn, StageError>> =
        pool.install(|| (0..params.epochs).into_par_iter().map(draw).collect());
    // The first error in the order of epochs, whichever thread met one first.
    epochs.into_iter().collect()
}

/// Returns the width and height that all clips have.
fn one_size(train: &[Drawn], test: &Drawn) -> Result<(u32, u32), StageError> {
    let mut sizes = train.iter().chain([test]).filter_map(|drawn| drawn.size.as_ref());
    let first: &Size = sizes.next().ok_or_else(|| StageError::message("no clips were drawn"))?;
    sizes.try_for_each(|size| first.check(Some(size))).map_err(AugmentError::into_stage_error)?;
    Ok(first.width_height)
}

fn write_samples(
    folder: &Path,
    train: &[SampleRow],
    test: &[SampleRow],
    classes: &[ClassRow],
    preprocessing: &Preprocessing,
) -> Result<(), StageError> {
    fs::create_dir_all(folder)?;
    write_rows(&folder.join("train.parquet"), train)?;
    write_rows(&folder.join("test.parquet"), test)?;
    write_rows(&folder.join("classes.parquet"), classes)?;
    let mut json = serde_json::to_string_pretty(preprocessing)?;
    json.push('\n');
    fs::write(folder.join("preprocessing.json"), json)?;
    Ok(())
}

#[cfg(test)]
mod tests;
