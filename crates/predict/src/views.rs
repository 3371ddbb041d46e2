//! The views of a video that a model sees, and their pixels.

use crate::{ExportedModel, FrameSet, PredictError};
use pipe_clips::{ClipDecoder, VideoSegment, samplers, test_views};
use pipe_schemas::tables::SampleRow;
use std::ops::Range;

/// Largest size of the pixels of all views of a video.
const MAX_PIXEL_BYTES: usize = 1 << 30;

impl ExportedModel {
    /// Returns the views of a part of a video; `times` are its start and end in seconds, if it is not the whole video.
    ///
    /// # Errors
    /// [`PredictError::TooShort`] if the part has fewer frames than a clip needs, [`PredictError::ViewSize`] if a view does not have
    /// the size that the network takes, [`PredictError::TooLarge`] if the pixels of all views take more than 1 GiB.
    pub fn views(
        &self,
        video_id: &str,
        video: &FrameSet,
        frames: Range<u32>,
        times: Option<(f64, f64)>,
    ) -> Result<Vec<SampleRow>, PredictError> {
        let test = &self.metadata.preprocessing.test;
        let (num_frames, min_frames) = (frames.len() as u32, samplers::min_frames(&test.sampler));
        if num_frames < min_frames.max(1) {
            return Err(PredictError::TooShort { num_frames, min_frames: min_frames.max(1) });
        }
        let segment = VideoSegment { frames, fps: video.fps, width_px: video.width_px, height_px: video.height_px };
        let views = test_views(test, &segment, &[])?;
        if views.len().saturating_mul(self.clip_bytes()) > MAX_PIXEL_BYTES {
            return Err(PredictError::TooLarge { num_views: views.len(), limit_bytes: MAX_PIXEL_BYTES });
        }
        let expected = (self.clip_size.width, self.clip_size.height);
        for view in &views {
            let found = (view.view.width_px as usize, view.view.height_px as usize);
            if found != expected {
                let text = |(width, height): (usize, usize)| format!("{width}x{height} px");
                return Err(PredictError::ViewSize { found: text(found), expected: text(expected) });
            }
        }
        Ok(views.into_iter().map(|view| view.into_row(video_id, times)).collect())
    }

    /// Returns the pixels of views, `[T, H, W, 3]` each; `image` returns the image of a kept frame.
    ///
    /// # Errors
    /// [`PredictError::FrameMissing`] if there is no image for a frame, [`PredictError::Clip`] if it can't be decoded.
    pub fn clips<'a>(
        &self,
        decoder: &mut ClipDecoder,
        rows: &[SampleRow],
        video: &FrameSet,
        image: impl Fn(u32) -> Option<&'a [u8]>,
    ) -> Result<Vec<Vec<u8>>, PredictError> {
        let frame_px = (video.width_px, video.height_px);
        let clip = |row: &SampleRow| {
            let found = |index: &u32| image(*index).ok_or(PredictError::FrameMissing { frame_index: *index });
            let images = row.frame_indices.iter().map(found).collect::<Result<Vec<_>, _>>()?;
            Ok(decoder.clip(row, frame_px, self.clip_size, &images)?)
        };
        rows.iter().map(clip).collect()
    }

    /// Returns the size of the pixels of a view.
    pub fn clip_bytes(&self) -> usize {
        3 * self.clip_size.frames * self.clip_size.height * self.clip_size.width
    }
}
