//! The draws themselves: [`train_epoch`] and [`test_rows`].
//!
//! Each generator is named by what it draws for, so that the rows of a video in an epoch do not depend on the number of
//! epochs, on other videos, or on threads. A labelled segment counts as a video, by its name and times.
//!
//! | what | named by seed and |
//! |---|---|
//! | frames of a video's clips | `train`, epoch, video, `frames` |
//! | boxes, mirroring and pixel operations of a clip | `train`, epoch, video, number of the clip |
//! | the same when the video comes again in the epoch | also which time it is, from 1 |
//! | place in the epoch | `order`, epoch, video, view |
//!
//! Two draws are about several videos, and change with them:
//!
//! | what | named by seed and |
//! |---|---|
//! | which videos a balanced epoch shows | `balance`, epoch; and the class |
//! | what a clip is blended with | `blend`, epoch, number of the batch |

mod blend;

use crate::error::AugmentError;
use crate::list::{Video, name};
use pipe_clips::geometry::{View, views};
use pipe_clips::sampler::{Timeline, test_clips, train_clips};
use pipe_clips::{ClipError, Draws, pixels};
use pipe_schemas::stages::augment::{AugmentParams, ClipPipeline, EpochVideos};
use pipe_schemas::tables::{FrameIndexRow, SampleRow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows, and the size that all of them are scaled to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) rows: Vec<SampleRow>,
    pub(crate) size: Option<Size>,
}

/// The size of a clip and the video where it was first seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) part: String,
    pub(crate) video_id: String,
    pub(crate) width_height: (u32, u32),
}

impl Size {
    /// Checks that `other`, if any, is the same size.
    pub(crate) fn check(&self, other: Option<&Self>) -> Result<(), AugmentError> {
        match other {
            Some(other) if other.width_height != self.width_height => Err(AugmentError::MixedSizes {
                first_part: self.part.clone(),
                first_video: self.video_id.clone(),
                first: self.width_height,
                part: other.part.clone(),
                video: other.video_id.clone(),
                found: other.width_height,
            }),
            _ => Ok(()),
        }
    }
}

/// Draws all rows of an epoch, in the order in which they are to be shown.
pub(crate) fn train_epoch(params: &AugmentParams, videos: &[Video<'_>], epoch: u32) -> Result<Drawn, AugmentError> {
    let (epoch_name, seed) = (epoch.to_string(), params.seed);
    let mut drawn = Drawn::default();
    for (video, picks) in videos.iter().zip(picks(params, videos, epoch)) {
        let video_name = video.name();
        for time in 0..picks * params.num_sample {
            let again = (time > 0).then(|| time.to_string());
            let draws = |what: &str| {
                let names = ["train", &epoch_name, &video_name, what].into_iter().chain(again.as_deref());
                Draws::new(seed, &names.collect::<Vec<_>>())
            };
            let clips = train_clips(&params.train.sampler, timeline(video), &mut draws("frames"));
            let draws = |clip: usize| draws(&clip.to_string());
            add_views(&mut drawn, &params.train, video, epoch, "train", clips, draws)?;
        }
    }
    let order = |row: &SampleRow| {
        let video_name = name(&row.video_id, row.start_secs.zip(row.end_secs));
        Draws::new(seed, &["order", &epoch_name, &video_name, &row.view.to_string()]).bits()
    };
    let key = |row: &SampleRow| {
        let (video_id, start, end) = row.sample();
        (order(row), video_id.to_owned(), start, end, row.view)
    };
    drawn.rows.sort_by_cached_key(key);
    number(&mut drawn.rows);
    if let (Some(blending), Some(size)) = (&params.blending, &drawn.size) {
        blend::blend(&mut drawn.rows, blending, size.width_height, seed, &epoch_name);
    }
    Ok(drawn)
}

/// Returns how often each video is picked for an epoch.
fn picks(params: &AugmentParams, videos: &[Video<'_>], epoch: u32) -> Vec<u32> {
    if params.epoch_videos == EpochVideos::Each {
        return vec![1; videos.len()];
    }
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, video) in videos.iter().enumerate() {
        classes.entry(video.class_indices[0]).or_default().push(place);
    }
    let mut classes: Vec<(u32, Vec<usize>)> = classes.into_iter().collect();
    let epoch = epoch.to_string();
    // Which classes get one more, where the videos can't be shared out evenly.
    Draws::new(params.seed, &["balance", &epoch]).shuffle(&mut classes);
    let (each, more) = (videos.len() / classes.len().max(1), videos.len() % classes.len().max(1));
    let mut picks = vec![0; videos.len()];
    for (place, (class_index, mut members)) in classes.into_iter().enumerate() {
        Draws::new(params.seed, &["balance", &epoch, &class_index.to_string()]).shuffle(&mut members);
        let count = each + usize::from(place < more);
        members.iter().cycle().take(count).for_each(|member| picks[*member] += 1);
    }
    picks
}

/// Returns the test views of `videos`, in the order of these, then by view.
pub(crate) fn test_rows(pipeline: &ClipPipeline, videos: &[Video<'_>]) -> Result<Drawn, AugmentError> {
    let mut drawn = Drawn::default();
    for video in videos {
        let clips = test_clips(&pipeline.sampler, timeline(video));
        add_views(&mut drawn, pipeline, video, 0, "test", clips, |_| Draws::new(0, &["test"]))?;
    }
    number(&mut drawn.rows);
    Ok(drawn)
}

fn timeline(video: &Video<'_>) -> Timeline {
    Timeline { num_frames: video.frame_range().len() as u32, fps: video.frames.fps }
}

fn number(rows: &mut [SampleRow]) {
    for (position, row) in rows.iter_mut().enumerate() {
        row.position = position as u32;
    }
}

/// Adds a row for each view of each clip of `video`. Views are numbered crop by crop, then clip by clip, as MMAction2
/// stacks them.
fn add_views(
    drawn: &mut Drawn,
    pipeline: &ClipPipeline,
    video: &Video<'_>,
    epoch: u32,
    part: &'static str,
    clips: Result<Vec<Vec<u32>>, ClipError>,
    draws: impl Fn(usize) -> Draws,
) -> Result<(), AugmentError> {
    let FrameIndexRow { video_id, width_px, height_px, .. } = video.frames;
    let misfit = |source: ClipError| AugmentError::Draw { part, source: source.of_video(&video.name()) };
    let first_row = drawn.rows.len();
    let earlier = drawn.rows.iter().rev().take_while(|row| of(row, video)).count();
    let clips = clips.map_err(misfit)?;
    let num_clips = clips.len();
    let first_frame = video.frame_range().start;
    for (clip, mut frame_indices) in clips.into_iter().enumerate() {
        for index in &mut frame_indices {
            *index += first_frame;
        }
        let mut draws = draws(clip);
        // The same draws for each label: what is mirrored may have another one.
        let before = draws.clone();
        let mut labelled = Vec::with_capacity(video.class_indices.len());
        for class_index in &video.class_indices {
            draws = before.clone();
            let views = views(*width_px, *height_px, *class_index, &pipeline.transforms, &mut draws);
            labelled.push(views.map_err(misfit)?);
        }
        let mut pixel_ops = None;
        for (crop, view) in labelled[0].iter().enumerate() {
            let size = Size {
                part: part.to_owned(),
                video_id: video_id.clone(),
                width_height: (view.width_px, view.height_px),
            };
            drawn.size.get_or_insert_with(|| size.clone()).check(Some(&size))?;
            if pixel_ops.is_none() {
                let ops = pixels::draw(&pipeline.transforms, view.width_px, view.height_px, &mut draws);
                pixel_ops = Some(pixels::to_text(&ops).map_err(misfit)?);
            }
            let number = (earlier + crop * num_clips + clip) as u32;
            let pixel_ops = pixel_ops.clone().unwrap_or_default();
            let mut class_indices: Vec<u32> = labelled.iter().map(|views| views[crop].class_index).collect();
            class_indices.sort_unstable();
            class_indices.dedup(); // mirrored, two labels may be one
            let (class_index, more_class_indices) = (class_indices.remove(0), class_indices);
            let row = row(video, epoch, number, frame_indices.clone(), view);
            drawn.rows.push(SampleRow { class_index, more_class_indices, pixel_ops, ..row });
        }
    }
    drawn.rows[first_row..].sort_by_key(|row| row.view);
    Ok(())
}

/// Returns whether a row is of this video, and of this segment of it.
fn of(row: &SampleRow, video: &Video<'_>) -> bool {
    row.video_id == video.frames.video_id && row.start_secs.zip(row.end_secs) == video.times()
}

fn row(video: &Video<'_>, epoch: u32, number: u32, frame_indices: Vec<u32>, view: &View) -> SampleRow {
    let (start_secs, end_secs) = video.times().unzip();
    SampleRow {
        epoch,
        video_id: video.frames.video_id.clone(),
        start_secs,
        end_secs,
        view: number,
        frame_indices,
        crop_x: view.crop_x,
        crop_y: view.crop_y,
        crop_width: view.crop_width,
        crop_height: view.crop_height,
        flip: view.flip,
        ..SampleRow::default()
    }
}

#[cfg(test)]
mod tests;
