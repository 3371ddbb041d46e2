//! A video becomes JPEG frames: decode, sample, resize, code. One decoded frame is in memory at a time, or two.

use crate::sample::Sampler;
use pipe_schemas::stages::frames::{FrameCoding, FrameResize, FramesParams};
use pipe_tables::frames::EncodedFrame;
use pipe_video::{DecodedFrame, Decoder, FrameScaler, JpegEncoder, VideoError};
use std::path::Path;

/// A video's kept frames.
pub(crate) struct EncodedVideo {
    pub(crate) frames: Vec<EncodedFrame>,
    pub(crate) width_px: u32,
    pub(crate) height_px: u32,
    /// Average rate of the kept frames.
    pub(crate) fps: f64,
}

/// Makes the frames of a file.
pub(crate) fn encode_video(
    path: &Path,
    params: &FramesParams,
    mut sampler: Sampler,
) -> Result<EncodedVideo, VideoError> {
    let mut decoder = Decoder::open(path)?;
    let info = decoder.info().clone();
    let FrameCoding::Jpeg { quality } = params.encode;
    let mut coder = JpegEncoder::new(quality)?;
    let mut pending = decoder.next().ok_or(VideoError::NoFrames)??;
    let (width_px, height_px) = stored_size(&pending, info.rotation, params.resize);
    let mut scaler = FrameScaler::new(width_px, height_px, info.rotation)?;
    let mut frames = Vec::new();
    let mut shown_nanos = 0;
    loop {
        // How long a frame is shown is known once the next one is there.
        let next = decoder.next().transpose()?;
        if let Some(next) = &next {
            shown_nanos = next.pts_nanos() - pending.pts_nanos();
        }
        let pts_nanos = pending.pts_nanos();
        if sampler.keeps(pending.frame_index(), pts_nanos, pts_nanos.saturating_add(shown_nanos)) {
            let jpeg = coder.encode(scaler.scale(&pending)?)?;
            frames.push(EncodedFrame { pts_nanos, jpeg });
        }
        match next {
            Some(next) => pending = next,
            None => break,
        }
    }
    let container_fps = f64::from(info.fps_num) / f64::from(info.fps_den);
    let fps = average_fps(&frames).unwrap_or(container_fps);
    Ok(EncodedVideo { frames, width_px, height_px, fps })
}

fn average_fps(frames: &[EncodedFrame]) -> Option<f64> {
    let (first, last) = (frames.first()?, frames.last()?);
    let nanos = last.pts_nanos - first.pts_nanos;
    (nanos > 0).then(|| (frames.len() - 1) as f64 * 1e9 / nanos as f64)
}

fn stored_size(frame: &DecodedFrame, rotation: u32, resize: FrameResize) -> (u32, u32) {
    let coded = (frame.width_px(), frame.height_px());
    let (width_px, height_px) = if rotation % 180 == 90 { (coded.1, coded.0) } else { coded };
    resized(width_px, height_px, resize)
}

/// Returns the size of a frame after `resize`; never larger than before.
fn resized(width_px: u32, height_px: u32, resize: FrameResize) -> (u32, u32) {
    let short = width_px.min(height_px);
    match resize {
        FrameResize::ShortSidePx(target) if target < short => {
            let scale = f64::from(target) / f64::from(short);
            let side = |old: u32| if old == short { target } else { (f64::from(old) * scale + 0.5) as u32 };
            (side(width_px), side(height_px))
        }
        FrameResize::None | FrameResize::ShortSidePx(_) => (width_px, height_px),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_side_shrinks_and_never_grows() {
        let check = |size: (u32, u32), resize, expect| assert_eq!(resized(size.0, size.1, resize), expect);
        check((320, 240), FrameResize::None, (320, 240));
        check((320, 240), FrameResize::ShortSidePx(256), (320, 240));
        check((640, 480), FrameResize::ShortSidePx(256), (341, 256)); // 341.33
        check((480, 854), FrameResize::ShortSidePx(256), (256, 455)); // 455.47
        check((1920, 1080), FrameResize::ShortSidePx(256), (455, 256)); // 455.11
        check((1001, 1001), FrameResize::ShortSidePx(7), (7, 7));
    }
}
