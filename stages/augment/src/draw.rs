//! The draws themselves: [`train_epoch`] and [`test_views`].
//!
//! Each generator is named by what it draws for, so that the rows of a video in an epoch do not depend on the number of
//! epochs, on other videos, or on threads:
//!
//! | what | named by seed and |
//! |---|---|
//! | frames of a video's clips | `train`, epoch, video, `frames` |
//! | boxes and mirroring of a clip | `train`, epoch, video, number of the clip |
//! | place in the epoch | `order`, epoch, video, view |

use crate::error::AugmentError;
use pipe_clips::geometry::{View, views};
use pipe_clips::sampler::{test_clips, train_clips};
use pipe_clips::{ClipError, Draws};
use pipe_schemas::stages::augment::ClipPipeline;
use pipe_schemas::tables::{FrameIndexRow, SampleRow};

/// A video to draw from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Video<'a> {
    /// Its frames.
    pub(crate) frames: &'a FrameIndexRow,
    /// From 0.
    pub(crate) class_index: u32,
}

/// Rows, and the size that all of them are scaled to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) rows: Vec<SampleRow>,
    pub(crate) size: Option<Size>,
}

/// The size of a clip and the video where it was first seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Size {
    pub(crate) part: &'static str,
    pub(crate) video_id: String,
    pub(crate) width_height: (u32, u32),
}

impl Size {
    /// Checks that `other`, if any, is the same size.
    pub(crate) fn check(&self, other: Option<&Self>) -> Result<(), AugmentError> {
        match other {
            Some(other) if other.width_height != self.width_height => Err(AugmentError::MixedSizes {
                first_part: self.part,
                first_video: self.video_id.clone(),
                first: self.width_height,
                part: other.part,
                video: other.video_id.clone(),
                found: other.width_height,
            }),
            _ => Ok(()),
        }
    }
}

/// Draws all rows of an epoch, in the order in which they are to be shown.
pub(crate) fn train_epoch(
    pipeline: &ClipPipeline,
    videos: &[Video<'_>],
    seed: u64,
    epoch: u32,
) -> Result<Drawn, AugmentError> {
    let name = epoch.to_string();
    let mut drawn = Drawn::default();
    for video in videos {
        let video_id = video.frames.video_id.as_str();
        let clips = train_clips(
            &pipeline.sampler,
            video.frames.num_frames,
            &mut Draws::new(seed, &["train", &name, video_id, "frames"]),
        );
        let draws = |clip: usize| Draws::new(seed, &["train", &name, video_id, &clip.to_string()]);
        add_views(&mut drawn, pipeline, video, epoch, "train", clips, draws)?;
    }
    let order = |row: &SampleRow| Draws::new(seed, &["order", &name, &row.video_id, &row.view.to_string()]).bits();
    drawn.rows.sort_by_cached_key(|row| (order(row), row.video_id.clone(), row.view));
    number(&mut drawn.rows);
    Ok(drawn)
}

/// Returns the test views of `videos`, in the order of these, then by view.
pub(crate) fn test_views(pipeline: &ClipPipeline, videos: &[Video<'_>]) -> Result<Drawn, AugmentError> {
    let mut drawn = Drawn::default();
    for video in videos {
        let clips = test_clips(&pipeline.sampler, video.frames.num_frames);
        add_views(&mut drawn, pipeline, video, 0, "test", clips, |_| Draws::new(0, &["test"]))?;
    }
    number(&mut drawn.rows);
    Ok(drawn)
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
    let misfit = |source: ClipError| AugmentError::Draw { part, source: source.of_video(video_id) };
    let first_row = drawn.rows.len();
    let clips = clips.map_err(misfit)?;
    let num_clips = clips.len();
    for (clip, frame_indices) in clips.into_iter().enumerate() {
        let views = views(*width_px, *height_px, &pipeline.transforms, &mut draws(clip)).map_err(misfit)?;
        for (crop, view) in views.iter().enumerate() {
            let size = Size { part, video_id: video_id.clone(), width_height: (view.width_px, view.height_px) };
            drawn.size.get_or_insert_with(|| size.clone()).check(Some(&size))?;
            let number = (crop * num_clips + clip) as u32;
            drawn.rows.push(row(video, epoch, number, frame_indices.clone(), view));
        }
    }
    drawn.rows[first_row..].sort_by_key(|row| row.view);
    Ok(())
}

fn row(video: &Video<'_>, epoch: u32, number: u32, frame_indices: Vec<u32>, view: &View) -> SampleRow {
    SampleRow {
        epoch,
        position: 0,
        video_id: video.frames.video_id.clone(),
        class_index: video.class_index,
        view: number,
        frame_indices,
        crop_x: view.crop_x,
        crop_y: view.crop_y,
        crop_width: view.crop_width,
        crop_height: view.crop_height,
        flip: view.flip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::stages::augment::{OutOfBound, Sampler, Scale, Transform};
    use std::collections::BTreeMap;

    fn frames(video_id: &str, num_frames: u32) -> FrameIndexRow {
        FrameIndexRow {
            video_id: video_id.into(),
            shard: "s".into(),
            row_group: 0,
            num_frames,
            width_px: 341,
            height_px: 256,
            fps: 25.0,
        }
    }

    fn pipeline(clip_len: u32, num_clips: u32, transforms: Vec<Transform>) -> ClipPipeline {
        let sampler =
            Sampler::SampleFrames { clip_len, frame_interval: 1, num_clips, out_of_bound_opt: OutOfBound::Loop };
        ClipPipeline { sampler, transforms }
    }

    fn random() -> Vec<Transform> {
        vec![Transform::RandomCrop { size: 224 }, Transform::Flip { flip_ratio: 0.5 }]
    }

    fn epoch(pipeline: &ClipPipeline, index: &[FrameIndexRow], epoch: u32) -> Vec<SampleRow> {
        let videos: Vec<_> = index.iter().map(|frames| Video { frames, class_index: 0 }).collect();
        train_epoch(pipeline, &videos, 3, epoch).expect("drawn").rows
    }

    #[test]
    fn each_clip_of_a_video_is_a_row() {
        let index = [frames("a", 100), frames("b", 90)];
        let segments = epoch(&pipeline(1, 8, random()), &index, 0);
        assert_eq!(segments.len(), 2);
        assert!(segments.iter().all(|row| row.frame_indices.len() == 8 && row.view == 0));
        let clips = epoch(&pipeline(16, 3, random()), &index, 0);
        assert_eq!(clips.len(), 6);
        assert!(clips.iter().all(|row| row.frame_indices.len() == 16));
        assert_eq!(clips.iter().map(|row| row.position).collect::<Vec<_>>(), (0..6).collect::<Vec<_>>());
        let mut views: Vec<_> = clips.iter().map(|row| (row.video_id.as_str(), row.view)).collect();
        views.sort_unstable();
        assert_eq!(views, [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)]);
    }

    #[test]
    fn rows_do_not_depend_on_other_videos() {
        let index: Vec<_> = (0..40).map(|video| frames(&format!("v{video:02}"), 50 + video)).collect();
        let pipeline = pipeline(4, 2, random());
        let all = epoch(&pipeline, &index, 5);
        let some: Vec<_> = index.iter().step_by(3).cloned().collect();
        let some_rows = epoch(&pipeline, &some, 5);
        let names: Vec<_> = some.iter().map(|row| &row.video_id).collect();
        // Even the order of two videos stays.
        let mut left: Vec<SampleRow> = all.into_iter().filter(|row| names.contains(&&row.video_id)).collect();
        number(&mut left);
        assert_eq!(left, some_rows);
    }

    #[test]
    fn epochs_differ_in_order_and_draws() {
        let index: Vec<_> = (0..40).map(|video| frames(&format!("v{video:02}"), 80)).collect();
        let pipeline = pipeline(1, 8, random());
        let (zero, one) = (epoch(&pipeline, &index, 0), epoch(&pipeline, &index, 1));
        let order = |rows: &[SampleRow]| rows.iter().map(|row| row.video_id.clone()).collect::<Vec<_>>();
        assert_ne!(order(&zero), order(&one));
        assert!(!order(&zero).is_sorted());
        let by_video: BTreeMap<_, _> = one.iter().map(|row| (&row.video_id, row)).collect();
        let same = zero.iter().filter(|row| row.frame_indices == by_video[&row.video_id].frame_indices).count();
        assert!(same < 4, "{same} of 40 videos drew the same frames");
        assert_eq!(zero, epoch(&pipeline, &index, 0));
    }

    #[test]
    fn test_views_are_numbered_crop_by_crop() {
        let index = [frames("a", 64), frames("b", 64)];
        let videos: Vec<_> = index.iter().map(|frames| Video { frames, class_index: 7 }).collect();
        let pipeline = pipeline(8, 2, vec![Transform::ThreeCrop { crop_size: 256 }]);
        let drawn = test_views(&pipeline, &videos).expect("views");
        assert_eq!(drawn.size.map(|size| size.width_height), Some((256, 256)));
        let first: Vec<_> =
            drawn.rows.iter().take(6).map(|row| (row.view, row.frame_indices[0], row.crop_x as u32)).collect();
        assert_eq!(first, [(0, 0, 0), (1, 56, 0), (2, 0, 84), (3, 56, 84), (4, 0, 42), (5, 56, 42)]);
        let places: Vec<_> = drawn.rows.iter().map(|row| (row.epoch, row.position, row.class_index)).collect();
        assert_eq!(places, (0..12).map(|position| (0, position, 7)).collect::<Vec<_>>());
        assert_eq!((drawn.rows[6].video_id.as_str(), drawn.rows[6].view), ("b", 0));
    }

    #[test]
    fn a_pipeline_without_a_last_size_is_refused() {
        let index = [frames("a", 64), frames("b", 64), frames("c", 64)];
        let videos: Vec<_> = index.iter().map(|frames| Video { frames, class_index: 0 }).collect();
        let crop = Transform::RandomResizedCrop { area_range: [0.08, 1.0], aspect_ratio_range: [0.75, 1.33] };
        let error = train_epoch(&pipeline(1, 8, vec![crop.clone()]), &videos, 0, 0).expect_err("mixed");
        assert!(error.to_string().starts_with("clips differ in size: train clips of `a` have "), "{error}");
        let whole = vec![crop, Transform::Resize { scale: Scale::Exact([224, 200]) }];
        let drawn = train_epoch(&pipeline(1, 8, whole), &videos, 0, 0).expect("one size");
        assert_eq!(drawn.size.map(|size| size.width_height), Some((224, 200)));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let index = [frames("a", 64), frames("empty", 0)];
        let videos: Vec<_> = index.iter().map(|frames| Video { frames, class_index: 0 }).collect();
        let error = test_views(&pipeline(1, 8, vec![]), &videos).expect_err("no frames");
        assert!(matches!(&error, AugmentError::Draw { part: "test", source: ClipError::Video { video_id, .. } }
            if video_id == "empty"));
        let large = pipeline(1, 8, vec![Transform::CenterCrop { crop_size: 300 }]);
        assert!(train_epoch(&large, &videos, 0, 0).is_err());
    }
}
