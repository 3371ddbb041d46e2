//! [`encode_kept`]: the frames of a video that a recipe keeps, as image files. The stage `frames` stores them, and a prediction shows them
//! to a network: both see the same bytes.

use crate::{FrameCoder, ImageFormat, RecipeFrame, RecipeFrames, VideoError, VideoInfo, VideoStream, stored_size};
use pipe_schemas::stages::frames::{FrameCoding, FrameRecipe};
use std::path::Path;

/// A frame that a recipe keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptFrame<'a> {
    /// Position among the kept frames, from 0.
    pub index: u32,
    /// Presentation time.
    pub pts_nanos: i64,
    /// Width of the image.
    pub width_px: u32,
    /// Height of the image.
    pub height_px: u32,
    /// The image file.
    pub image: &'a [u8],
}

/// What the kept frames of a video have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptVideo {
    /// Number of kept frames.
    pub num_frames: u32,
    /// Width of the images.
    pub width_px: u32,
    /// Height of the images.
    pub height_px: u32,
    /// Average rate of the kept frames, in frames per second; that of the container if there is one frame.
    pub fps: f64,
    /// What the decoder passed over; empty if the video is intact.
    pub damage: String,
}

/// Decodes a video once, or twice if the recipe counts frames. Passes each kept frame whose index is `wanted` to `take`, and `None` for
/// every other frame, which shows that the work goes on. Stops early when `take` returns false.
///
/// # Errors
/// [`VideoError`] if the video can't be decoded to its end.
pub fn encode_kept(
    path: &Path,
    recipe: FrameRecipe,
    wanted: &dyn Fn(u32) -> bool,
    take: &mut dyn FnMut(Option<KeptFrame>) -> bool,
) -> Result<KeptVideo, VideoError> {
    let frames = RecipeFrames::open(path, recipe.sample, &mut || take(None))?;
    encode(frames, recipe, wanted, take)
}

/// Decodes a stream, and passes each kept frame to `take`, and `None` for every other frame. Stops when `take` returns false.
///
/// # Errors
/// [`VideoError`] if the stream fails before its end.
pub fn encode_stream(
    stream: VideoStream,
    recipe: FrameRecipe,
    take: &mut dyn FnMut(Option<KeptFrame>) -> bool,
) -> Result<KeptVideo, VideoError> {
    let is_mp4 = stream.is_mp4();
    encode(RecipeFrames::of_stream(stream, recipe.sample)?, recipe, &|_| true, take).map_err(|error| match error {
        VideoError::Read { frame_index: 0, .. } if is_mp4 => VideoError::IndexAtEnd,
        other => other,
    })
}

fn encode(
    mut frames: RecipeFrames,
    recipe: FrameRecipe,
    wanted: &dyn Fn(u32) -> bool,
    take: &mut dyn FnMut(Option<KeptFrame>) -> bool,
) -> Result<KeptVideo, VideoError> {
    let VideoInfo { orientation, fps_num, fps_den, .. } = *frames.info();
    let (mut coder, mut image) = (None, Vec::new());
    let (mut num_frames, mut times) = (0, None);
    for frame in frames.by_ref() {
        let RecipeFrame { frame, kept } = frame?;
        let (coder, width_px, height_px) = if let Some(coder) = &mut coder {
            coder
        } else {
            let (width_px, height_px) = stored_size(&frame, orientation, recipe.square_pixels, recipe.resize);
            let new = FrameCoder::new(format(recipe.encode), width_px, height_px, orientation)?;
            coder.insert((new, width_px, height_px))
        };
        let index = num_frames;
        if kept {
            num_frames += 1;
            let pts_nanos = frame.pts_nanos();
            times.get_or_insert((pts_nanos, pts_nanos)).1 = pts_nanos;
        }
        let goes_on = if kept && wanted(index) {
            image.clear();
            coder.encode(&frame, &mut image)?;
            let (width_px, height_px) = (*width_px, *height_px);
            take(Some(KeptFrame { index, pts_nanos: frame.pts_nanos(), width_px, height_px, image: &image }))
        } else {
            take(None)
        };
        if !goes_on {
            break;
        }
    }
    let (_, width_px, height_px) = coder.ok_or(VideoError::NoFrames)?;
    let damage = if frames.damage().is_none() { String::new() } else { frames.damage().to_string() };
    let container_fps = f64::from(fps_num) / f64::from(fps_den);
    let fps = average_fps(num_frames, times).unwrap_or(container_fps);
    Ok(KeptVideo { num_frames, width_px, height_px, fps, damage })
}

fn format(coding: FrameCoding) -> ImageFormat {
    match coding {
        FrameCoding::Jpeg { quality } => ImageFormat::Jpeg { quality },
        FrameCoding::Png => ImageFormat::Png,
        FrameCoding::Raw => ImageFormat::Ppm,
    }
}

/// Returns the average rate of frames between the first and the last time.
fn average_fps(num_frames: u32, times: Option<(i64, i64)>) -> Option<f64> {
    let (first, last) = times?;
    let nanos = last - first;
    (nanos > 0).then(|| f64::from(num_frames - 1) * 1e9 / nanos as f64)
}
