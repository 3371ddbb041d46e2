//! [`RecipeFrames`]: the frames of a video with the decision of a sampling, and [`stored_size`]: the size at which they are stored.
//! Every stage that reads videos with the same parameters gets the same frames.

use crate::sampler::FrameSampler;
use crate::{Damage, DecodedFrame, Decoder, VideoError, VideoInfo, VideoStream};
use pipe_pixels::Orientation;
use pipe_schemas::stages::frames::{FrameResize, FrameSampling};
use std::path::Path;

/// Iterates over all frames of a video and marks those that a sampling keeps.
///
/// One decoded frame is in memory at a time, or two with `fps`. After an error there are no more frames.
pub struct RecipeFrames {
    decoder: Decoder,
    sampling: FrameSampling,
    sampler: FrameSampler,
    /// The next frame, if it is decoded.
    next: Option<DecodedFrame>,
    /// How long the frame before the last one was shown.
    shown_nanos: i64,
}

/// A decoded frame, and whether it is kept.
pub struct RecipeFrame {
    /// Its pixels, scaled as the recipe asks.
    pub frame: DecodedFrame,
    /// Whether the sampling keeps it.
    pub kept: bool,
}

impl RecipeFrames {
    /// Opens a file. With `count`, the whole video is decoded once to count its frames, because the number that a container
    /// declares may be wrong; `on_counted` is called after each of these frames, and stops the count by returning false.
    pub fn open(
        path: &Path,
        sampling: FrameSampling,
        on_counted: &mut dyn FnMut() -> bool,
    ) -> Result<Self, VideoError> {
        let counts = FrameSampler::needs_num_frames(sampling);
        let num_frames = if counts { count(path, on_counted)? } else { 0 };
        let (decoder, sampler) = (Decoder::open(path)?, FrameSampler::new(sampling, num_frames));
        Ok(Self { decoder, sampling, sampler, next: None, shown_nanos: 0 })
    }

    /// Returns the frames of a stream.
    ///
    /// # Errors
    /// [`VideoError::Unbounded`] if the sampling needs the number of frames.
    pub fn of_stream(stream: VideoStream, sampling: FrameSampling) -> Result<Self, VideoError> {
        if FrameSampler::needs_num_frames(sampling) {
            return Err(VideoError::Unbounded);
        }
        let (decoder, sampler) = (stream.into_frames(), FrameSampler::new(sampling, 0));
        Ok(Self { decoder, sampling, sampler, next: None, shown_nanos: 0 })
    }

    /// Returns what the decoder passed over so far.
    pub fn damage(&self) -> &Damage {
        self.decoder.damage()
    }

    /// Returns what the container declares about the video.
    pub fn info(&self) -> &VideoInfo {
        self.decoder.info()
    }

    fn judge(&mut self, frame: DecodedFrame) -> Result<RecipeFrame, VideoError> {
        let pts_nanos = frame.pts_nanos();
        if FrameSampler::needs_end(self.sampling)
            && let Some(next) = self.decoder.next().transpose()?
        {
            self.shown_nanos = next.pts_nanos() - pts_nanos;
            self.next = Some(next);
        }
        let kept = self.sampler.keeps(frame.frame_index(), pts_nanos, pts_nanos.saturating_add(self.shown_nanos));
        Ok(RecipeFrame { frame, kept })
    }
}

impl Iterator for RecipeFrames {
    type Item = Result<RecipeFrame, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.next.take().map(Ok).or_else(|| self.decoder.next())?;
        Some(frame.and_then(|frame| self.judge(frame)))
    }
}

/// Counts the frames of a file by decoding it.
fn count(path: &Path, on_counted: &mut dyn FnMut() -> bool) -> Result<u64, VideoError> {
    let mut num_frames = 0;
    for frame in Decoder::open(path)? {
        frame?;
        num_frames += 1;
        if !on_counted() {
            break;
        }
    }
    Ok(num_frames)
}

/// Returns the width and height at which frames are stored: upright, with square pixels if that is asked for, and after `resize`.
pub fn stored_size(
    frame: &DecodedFrame,
    orientation: Orientation,
    square_pixels: bool,
    resize: FrameResize,
) -> (u32, u32) {
    let coded = (frame.width_px(), frame.height_px());
    let shown = if square_pixels { squared(coded, frame.sample_aspect()) } else { coded };
    resized(orientation.size(shown), resize)
}

/// Returns the size of a picture with square pixels. The height stays.
fn squared((width_px, height_px): (u32, u32), (num, den): (u32, u32)) -> (u32, u32) {
    let width = (u64::from(width_px) * u64::from(num) + u64::from(den) / 2) / u64::from(den.max(1));
    (u32::try_from(width.max(1)).unwrap_or(u32::MAX), height_px)
}

fn resized((width_px, height_px): (u32, u32), resize: FrameResize) -> (u32, u32) {
    let short = width_px.min(height_px);
    match resize {
        FrameResize::ShortSidePx(target) if target < short => {
            let scale = f64::from(target) / f64::from(short);
            let side = |old: u32| if old == short { target } else { (f64::from(old) * scale + 0.5) as u32 };
            (side(width_px), side(height_px))
        }
        FrameResize::None | FrameResize::ShortSidePx(_) => (width_px, height_px),
        FrameResize::Exact { width_px, height_px } => (width_px, height_px),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_square_by_another_width() {
        assert_eq!(squared((720, 576), (64, 45)), (1024, 576));
        assert_eq!(squared((720, 480), (8, 9)), (640, 480));
        assert_eq!(squared((720, 480), (10, 11)), (655, 480)); // 654.55
        assert_eq!(squared((320, 240), (1, 1)), (320, 240));
        assert_eq!(squared((1, 9), (1, 1000)), (1, 9));
        assert_eq!(squared((16_384, 9), (i32::MAX as u32, 1)), (u32::MAX, 9));
    }

    #[test]
    fn the_short_side_shrinks_and_never_grows() {
        let check = |size, resize, expect| assert_eq!(resized(size, resize), expect);
        check((320, 240), FrameResize::None, (320, 240));
        check((320, 240), FrameResize::ShortSidePx(256), (320, 240));
        check((640, 480), FrameResize::ShortSidePx(256), (341, 256)); // 341.33
        check((480, 854), FrameResize::ShortSidePx(256), (256, 455)); // 455.47
        check((1920, 1080), FrameResize::ShortSidePx(256), (455, 256)); // 455.11
        check((1001, 1001), FrameResize::ShortSidePx(7), (7, 7));
        check((320, 240), FrameResize::Exact { width_px: 341, height_px: 256 }, (341, 256));
    }
}
