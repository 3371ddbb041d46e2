//! A video becomes image files: decode, sample, resize, code. One decoded frame is in memory at a time, or two.
//!
//! [`Coders`] has that done in helpers; frames come back one by one.

use crate::sample::Sampler;
use pipe_schemas::stages::frames::{FrameCoding, FrameResize, FrameSampling, FramesParams};
use pipe_stage::{Context, Helpers, Job, Limits, SendPiece, StageError};
use pipe_tables::frames::FrameBuffer;
use pipe_video::{DecodedFrame, Decoder, FrameCoder, ImageFormat, VideoError};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io;
use std::path::Path;

/// What the data worker does as a helper of this stage.
pub const JOB: Job = Job { name: "frames", run };

/// A video's kept frames.
pub(crate) struct EncodedVideo {
    pub(crate) frames: FrameBuffer,
    pub(crate) width_px: u32,
    pub(crate) height_px: u32,
    /// Average rate of the kept frames.
    pub(crate) fps: f64,
}

/// Why there are no frames of a video.
pub(crate) enum Failure {
    /// It can't be decoded, for this reason.
    Video(String),
    /// It can't be read, for this one.
    Io(String),
}

/// Makes the frames of files, for several threads.
pub(crate) struct Coders<'a> {
    helpers: Helpers<'a>,
    params: &'a FramesParams,
    /// Where frames lie that memory need not hold.
    folder: &'a Path,
}

/// A job of a helper.
#[derive(Serialize, Deserialize)]
struct Task {
    path: String,
    sample: FrameSampling,
    resize: FrameResize,
    encode: FrameCoding,
}

/// What a helper says last.
#[derive(Serialize, Deserialize)]
enum Outcome {
    Made { width_px: u32, height_px: u32, fps: f64 },
    Video(String),
    Io(String),
}

impl<'a> Coders<'a> {
    pub(crate) fn new(context: &'a Context, params: &'a FramesParams, folder: &'a Path) -> Self {
        let limits = Limits { memory_mb: params.limits.memory_mb, cpu_secs: params.limits.cpu_secs };
        Self { helpers: Helpers::new(context, JOB, limits), params, folder }
    }

    /// Makes the frames of a file.
    pub(crate) fn encode(&self, path: &Path) -> Result<Result<EncodedVideo, Failure>, StageError> {
        let Some(path) = path.to_str() else { return Ok(Err(Failure::Video(VideoError::Path.to_string()))) };
        let FramesParams { sample, resize, encode, .. } = *self.params;
        let task = serde_json::to_vec(&Task { path: path.into(), sample, resize, encode })?;
        let mut frames = FrameBuffer::new(self.folder);
        let take = &mut |piece: &[u8]| -> Result<(), StageError> {
            // A piece without a frame only tells that the helper lives.
            if let Some((pts_nanos, image)) = piece.split_first_chunk() {
                frames.push(i64::from_le_bytes(*pts_nanos), image)?;
            }
            Ok(())
        };
        Ok(match self.helpers.run(&task, take)? {
            Ok(outcome) => match serde_json::from_slice(&outcome)? {
                Outcome::Made { width_px, height_px, fps: container_fps } => {
                    let fps = average_fps(frames.pts_nanos()).unwrap_or(container_fps);
                    Ok(EncodedVideo { frames, width_px, height_px, fps })
                }
                Outcome::Video(reason) => Err(Failure::Video(reason)),
                Outcome::Io(reason) => Err(Failure::Io(reason)),
            },
            Err(loss) => Err(Failure::Video(loss.to_string())),
        })
    }
}

fn run(job: &[u8], send: SendPiece) -> io::Result<Vec<u8>> {
    let task: Task = serde_json::from_slice(job)?;
    let mut sent = Ok(());
    let outcome = match encode_video(&task, &mut |piece| {
        sent = send(piece);
        sent.is_ok()
    }) {
        Ok(made) => made,
        Err(VideoError::Io(error)) => Outcome::Io(error.to_string()),
        Err(error) => {
            let cause = error.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
            Outcome::Video(format!("{error}{cause}"))
        }
    };
    sent?;
    Ok(serde_json::to_vec(&outcome)?)
}

/// Makes the frames of a file, and gives each to `keep` as its time and an image file, until that returns false. For a frame
/// that is not kept it gives nothing, which tells that the work goes on.
fn encode_video(task: &Task, keep: &mut dyn FnMut(&[u8]) -> bool) -> Result<Outcome, VideoError> {
    let path = Path::new(&task.path);
    let num_frames = match task.sample {
        FrameSampling::Count(_) => count(path, keep)?,
        _ => 0,
    };
    let mut sampler = Sampler::new(task.sample, num_frames);
    let mut decoder = Decoder::open(path)?;
    let info = decoder.info().clone();
    let mut pending = decoder.next().ok_or(VideoError::NoFrames)??;
    let (width_px, height_px) = stored_size(&pending, info.rotation, task.resize);
    let mut coder = FrameCoder::new(format(task.encode), width_px, height_px, info.rotation)?;
    let (mut shown_nanos, mut piece) = (0, Vec::new());
    loop {
        // How long a frame is shown is known once the next one is there.
        let next = decoder.next().transpose()?;
        if let Some(next) = &next {
            shown_nanos = next.pts_nanos() - pending.pts_nanos();
        }
        let pts_nanos = pending.pts_nanos();
        piece.clear();
        if sampler.keeps(pending.frame_index(), pts_nanos, pts_nanos.saturating_add(shown_nanos)) {
            piece.extend(pts_nanos.to_le_bytes());
            coder.encode(&pending, &mut piece)?;
        }
        let wanted = keep(&piece);
        match next {
            Some(next) if wanted => pending = next,
            _ => break,
        }
    }
    Ok(Outcome::Made { width_px, height_px, fps: f64::from(info.fps_num) / f64::from(info.fps_den) })
}

/// Counts the frames of a file by decoding it.
fn count(path: &Path, keep: &mut dyn FnMut(&[u8]) -> bool) -> Result<u64, VideoError> {
    let mut num_frames = 0;
    for frame in Decoder::open(path)? {
        frame?;
        num_frames += 1;
        if !keep(&[]) {
            break;
        }
    }
    Ok(num_frames)
}

fn format(coding: FrameCoding) -> ImageFormat {
    match coding {
        FrameCoding::Jpeg { quality } => ImageFormat::Jpeg { quality },
        FrameCoding::Png => ImageFormat::Png,
        FrameCoding::Raw => ImageFormat::Ppm,
    }
}

fn average_fps(pts_nanos: &[i64]) -> Option<f64> {
    let nanos = pts_nanos.last()? - pts_nanos.first()?;
    (nanos > 0).then(|| (pts_nanos.len() - 1) as f64 * 1e9 / nanos as f64)
}

fn stored_size(frame: &DecodedFrame, rotation: u32, resize: FrameResize) -> (u32, u32) {
    let coded = (frame.width_px(), frame.height_px());
    let (width_px, height_px) = if rotation % 180 == 90 { (coded.1, coded.0) } else { coded };
    resized(width_px, height_px, resize)
}

/// Returns the size of a frame after `resize`.
fn resized(width_px: u32, height_px: u32, resize: FrameResize) -> (u32, u32) {
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
    fn the_short_side_shrinks_and_never_grows() {
        let check = |size: (u32, u32), resize, expect| assert_eq!(resized(size.0, size.1, resize), expect);
        check((320, 240), FrameResize::None, (320, 240));
        check((320, 240), FrameResize::ShortSidePx(256), (320, 240));
        check((640, 480), FrameResize::ShortSidePx(256), (341, 256)); // 341.33
        check((480, 854), FrameResize::ShortSidePx(256), (256, 455)); // 455.47
        check((1920, 1080), FrameResize::ShortSidePx(256), (455, 256)); // 455.11
        check((1001, 1001), FrameResize::ShortSidePx(7), (7, 7));
        check((320, 240), FrameResize::Exact { width_px: 341, height_px: 256 }, (341, 256));
    }
}
