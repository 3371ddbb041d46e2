//! [`train_views`] and [`test_views`]: the clips and crops of a video that the network sees.
//!
//! Evaluation and prediction must show a network the same views of a video. Both take them from [`test_views`].

use crate::samplers::{self, Timeline};
use crate::transforms::{View, draw_pixel_ops, views};
use crate::{ClipError, Draws, pixel_ops};
use pipe_schemas::stages::augment::ClipPipeline;
use pipe_schemas::tables::SampleRow;
use std::ops::Range;

/// The stored frames that clips are taken from: all of a video, or those of a segment.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoSegment {
    /// Positions of the frames in the video.
    pub frames: Range<u32>,
    /// Average rate of the stored frames; 0 if it is unknown.
    pub fps: f64,
    /// Width of a stored frame.
    pub width_px: u32,
    /// Height of a stored frame.
    pub height_px: u32,
}

/// One view of a video: a clip, a crop of it, and the changes of its pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipView {
    /// Position among the views of the video. Views are numbered crop by crop, then clip by clip, as MMAction2 stacks them.
    pub number: u32,
    /// Positions of the frames in the video, `T` of them.
    pub frame_indices: Vec<u32>,
    /// The crop, its size and its labels.
    pub view: View,
    /// Operations on the pixels, as in the column `pixel_ops`.
    pub pixel_ops: String,
}

/// Returns the views of a video for testing. They are the same every time.
///
/// `class_indices` are the labels of the video; they may be empty.
///
/// # Errors
/// [`ClipError`] if the pipeline does not fit the video.
pub fn test_views(
    pipeline: &ClipPipeline,
    video: &VideoSegment,
    class_indices: &[u32],
) -> Result<Vec<ClipView>, ClipError> {
    let clips = samplers::test_clips(&pipeline.sampler, video.timeline())?;
    clip_views(pipeline, video, class_indices, clips, |_| Draws::new(0, &["test"]))
}

/// Draws the views of a video for training.
///
/// `draws` returns the generator for a purpose: `frames` for the frames of all clips, then `0`, `1` and so on for the crops and
/// pixel operations of each clip.
///
/// # Errors
/// [`ClipError`] if the pipeline does not fit the video.
pub fn train_views(
    pipeline: &ClipPipeline,
    video: &VideoSegment,
    class_indices: &[u32],
    draws: impl Fn(&str) -> Draws,
) -> Result<Vec<ClipView>, ClipError> {
    let clips = samplers::train_clips(&pipeline.sampler, video.timeline(), &mut draws("frames"))?;
    clip_views(pipeline, video, class_indices, clips, |clip| draws(&clip.to_string()))
}

fn clip_views(
    pipeline: &ClipPipeline,
    video: &VideoSegment,
    class_indices: &[u32],
    clips: Vec<Vec<u32>>,
    draws: impl Fn(usize) -> Draws,
) -> Result<Vec<ClipView>, ClipError> {
    let num_clips = clips.len();
    let mut found = Vec::with_capacity(num_clips);
    for (clip, mut frame_indices) in clips.into_iter().enumerate() {
        for index in &mut frame_indices {
            *index += video.frames.start;
        }
        let mut draws = draws(clip);
        let views = views(video.width_px, video.height_px, class_indices, &pipeline.transforms, &mut draws)?;
        let Some(first) = views.first() else { continue };
        // All views of a clip have its pixel operations, for the size of the first.
        let ops = draw_pixel_ops(&pipeline.transforms, first.width_px, first.height_px, &mut draws);
        let pixel_ops = pixel_ops::to_text(&ops)?;
        for (crop, view) in views.into_iter().enumerate() {
            let number = (crop * num_clips + clip) as u32;
            let (frame_indices, pixel_ops) = (frame_indices.clone(), pixel_ops.clone());
            found.push(ClipView { number, frame_indices, view, pixel_ops });
        }
    }
    found.sort_by_key(|view| view.number);
    Ok(found)
}

impl VideoSegment {
    fn timeline(&self) -> Timeline {
        Timeline { num_frames: self.frames.len() as u32, fps: self.fps }
    }
}

impl ClipView {
    /// Returns the view as a row of a `samples` table, with `epoch` and `position` 0. `times` are start and end of the segment in
    /// seconds, if it is one.
    pub fn into_row(self, video_id: &str, times: Option<(f64, f64)>) -> SampleRow {
        let Self { number, frame_indices, view, pixel_ops } = self;
        let (start_secs, end_secs) = times.unzip();
        let mut class_indices = view.class_indices.into_iter();
        SampleRow {
            video_id: video_id.to_owned(),
            start_secs,
            end_secs,
            class_index: class_indices.next().unwrap_or_default(),
            more_class_indices: class_indices.collect(),
            view: number,
            frame_indices,
            crop_x: view.crop_x,
            crop_y: view.crop_y,
            crop_width: view.crop_width,
            crop_height: view.crop_height,
            flip: view.flip,
            pixel_ops,
            ..SampleRow::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::stages::augment::{ColorJitter, Sampler, ThreeCrop};

    fn video() -> VideoSegment {
        VideoSegment { frames: 10..74, fps: 25.0, width_px: 341, height_px: 256 }
    }

    fn pipeline() -> ClipPipeline {
        ClipPipeline { sampler: Sampler::frames(8, 1, 2), transforms: vec![ThreeCrop { crop_size: 256 }.into()] }
    }

    #[test]
    fn views_are_numbered_crop_by_crop() {
        let views = test_views(&pipeline(), &video(), &[7]).expect("fits");
        let found: Vec<_> =
            views.iter().map(|view| (view.number, view.frame_indices[0], view.view.crop_x as u32)).collect();
        assert_eq!(found, [(0, 10, 0), (1, 66, 0), (2, 10, 84), (3, 66, 84), (4, 10, 42), (5, 66, 42)]);
        let row = views[5].clone().into_row("a", Some((0.5, 2.0)));
        assert_eq!((row.view, row.class_index, row.start_secs, row.end_secs), (5, 7, Some(0.5), Some(2.0)));
    }

    #[test]
    fn views_do_not_need_labels() {
        let labelled = test_views(&pipeline(), &video(), &[7]).expect("fits");
        let unlabelled = test_views(&pipeline(), &video(), &[]).expect("fits");
        let crops = |views: &[ClipView]| views.iter().map(|view| view.view.crop_x).collect::<Vec<_>>();
        assert_eq!(crops(&labelled), crops(&unlabelled));
    }

    #[test]
    fn crops_of_a_clip_share_its_pixel_operations() {
        let mut pipeline = pipeline();
        pipeline.transforms.push(ColorJitter::default().into());
        let views = train_views(&pipeline, &video(), &[0], |purpose| Draws::new(3, &[purpose])).expect("fits");
        let ops: Vec<&str> = views.iter().map(|view| view.pixel_ops.as_str()).collect();
        assert!(ops[0] == ops[2] && ops[2] == ops[4] && ops[1] == ops[3], "{ops:?}");
        assert_ne!(ops[0], ops[1]);
    }
}
