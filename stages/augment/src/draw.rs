//! The draws themselves: [`train_epoch`] and [`test_rows`].
//!
//! Each generator is seeded with the purpose of its draws, so that the rows of a video in an epoch do not depend on the number
//! of epochs, on other videos, or on threads. A labelled segment counts as a video, named by its id and times.
//!
//! | draw | seeded with `seed` and |
//! |---|---|
//! | frames of a video's clips | `train`, epoch, video, `frames` |
//! | boxes, mirroring and pixel operations of a clip | `train`, epoch, video, number of the clip |
//! | the same if the video is repeated in the epoch | also the number of the repetition, from 1 |
//! | position in the epoch | `order`, epoch, video, view |
//!
//! Two draws concern several videos and depend on all of them:
//!
//! | draw | seeded with `seed` and |
//! |---|---|
//! | videos of a balanced epoch | `balance`, epoch; and the class |
//! | blending | `blend`, epoch, number of the batch |

mod blend;

use crate::error::AugmentError;
use crate::list::{Video, name};
use pipe_clips::{ClipError, ClipView, Draws, test_views, train_views};
use pipe_schemas::stages::augment::{AugmentParams, ClipPipeline, EpochVideos};
use pipe_schemas::tables::SampleRow;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows, and the size of all their clips.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) rows: Vec<SampleRow>,
    pub(crate) size: Option<Size>,
}

/// The size of clips, and the first video with that size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) part: String,
    pub(crate) video_id: String,
    pub(crate) width_height: (u32, u32),
}

impl Size {
    /// Checks that `other` is the same size.
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

/// Draws all rows of an epoch, in the order in which training shows them.
pub(crate) fn train_epoch(params: &AugmentParams, videos: &[Video<'_>], epoch: u32) -> Result<Drawn, AugmentError> {
    let (epoch_name, seed) = (epoch.to_string(), params.seed);
    let mut drawn = Drawn::default();
    for (video, picks) in videos.iter().zip(picks(params, videos, epoch)) {
        let video_name = video.name();
        for time in 0..picks * params.num_sample {
            let again = (time > 0).then(|| time.to_string());
            let draws = |purpose: &str| {
                let names = ["train", &epoch_name, &video_name, purpose].into_iter().chain(again.as_deref());
                Draws::new(seed, &names.collect::<Vec<_>>())
            };
            let views = train_views(&params.train, &video.stored(), &video.class_indices, draws);
            drawn.add(video, epoch, "train", views)?;
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

/// Returns how many times an epoch shows each video.
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
    // If the videos can't be divided evenly, the first classes of a random order get one more.
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
        drawn.add(video, 0, "test", test_views(pipeline, &video.stored(), &video.class_indices))?;
    }
    number(&mut drawn.rows);
    Ok(drawn)
}

/// Sets the positions of rows that are in order.
fn number(rows: &mut [SampleRow]) {
    for (position, row) in rows.iter_mut().enumerate() {
        row.position = position as u32;
    }
}

impl Drawn {
    /// Adds the views of `video`, numbered after those that it already has.
    fn add(
        &mut self,
        video: &Video<'_>,
        epoch: u32,
        part: &'static str,
        views: Result<Vec<ClipView>, ClipError>,
    ) -> Result<(), AugmentError> {
        let misfit = |source: ClipError| AugmentError::Draw { part, source: source.of_video(&video.name()) };
        let video_id = &video.frames.video_id;
        let earlier = self.rows.iter().rev().take_while(|row| of(row, video)).count() as u32;
        for view in views.map_err(misfit)? {
            let width_height = (view.view.width_px, view.view.height_px);
            let size = Size { part: part.to_owned(), video_id: video_id.clone(), width_height };
            self.size.get_or_insert_with(|| size.clone()).check(Some(&size))?;
            let row = view.into_row(video_id, video.times());
            self.rows.push(SampleRow { epoch, view: earlier + row.view, ..row });
        }
        Ok(())
    }
}

/// Returns whether a row is of this video, and of this segment of it.
fn of(row: &SampleRow, video: &Video<'_>) -> bool {
    row.video_id == video.frames.video_id && row.start_secs.zip(row.end_secs) == video.times()
}

#[cfg(test)]
mod tests;
