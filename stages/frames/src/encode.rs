//! Encodes the kept frames of a video as image files. [`Coders`] runs this in helper processes, which return frames one by one.

use pipe_schemas::stages::frames::{FrameCoding, FrameResize, FrameSampling, FramesParams};
use pipe_stage::{Context, HelperFailure, Helpers, Job, JobFailure, JobLimits, SendPiece, StageError};
use pipe_tables::frames::FrameBuffer;
use pipe_video::{FrameCoder, ImageFormat, RecipeFrame, RecipeFrames, VideoError, VideoInfo, stored_size};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// The job of a helper process of this stage.
pub const JOB: Job = Job { name: "frames", run };

/// The kept frames of a video.
pub(crate) struct EncodedVideo {
    pub(crate) frames: FrameBuffer,
    pub(crate) width_px: u32,
    pub(crate) height_px: u32,
    /// Average rate of the kept frames, in frames per second.
    pub(crate) fps: f64,
    /// What the decoder passed over; empty if the video is intact.
    pub(crate) damage: String,
}

/// Why a video has no frames.
pub(crate) enum Failure {
    /// The video can't be decoded; the reason.
    Video(String),
    /// The file can't be read; the reason.
    Io(String),
    /// The machine ended the decoder.
    Machine(HelperFailure),
}

/// Encodes the frames of files in helpers; shared by several threads.
pub(crate) struct Coders<'a> {
    helpers: Helpers<'a>,
    params: &'a FramesParams,
    /// The folder for frames that are not held in memory.
    folder: &'a Path,
}

/// The input of a helper's job.
#[derive(Serialize, Deserialize)]
struct Task {
    #[serde(with = "pipe_stage::protocol::paths")]
    path: PathBuf,
    sample: FrameSampling,
    resize: FrameResize,
    square_pixels: bool,
    encode: FrameCoding,
}

/// The result of a helper's job.
#[derive(Serialize, Deserialize)]
enum Outcome {
    Made { width_px: u32, height_px: u32, fps: f64, damage: String },
    Video(String),
    Io(String),
}

impl<'a> Coders<'a> {
    pub(crate) fn new(context: &'a Context, params: &'a FramesParams, folder: &'a Path) -> Self {
        let limits = JobLimits { memory_mb: params.limits.memory_mb, cpu_secs: params.limits.cpu_secs };
        Self { helpers: Helpers::new(context, JOB, limits), params, folder }
    }

    /// Encodes the kept frames of a file.
    pub(crate) fn encode(&self, path: &Path) -> Result<Result<EncodedVideo, Failure>, StageError> {
        let FramesParams { sample, resize, square_pixels, encode, .. } = *self.params;
        let task = serde_json::to_vec(&Task { path: path.to_owned(), sample, resize, square_pixels, encode })?;
        let take = |frames: &mut FrameBuffer, piece: &[u8]| -> Result<(), StageError> {
            // An empty piece only shows that the helper is alive.
            if let Some((pts_nanos, image)) = piece.split_first_chunk() {
                frames.push(i64::from_le_bytes(*pts_nanos), image)?;
            }
            Ok(())
        };
        let (frames, result) = self.helpers.run(&task, || FrameBuffer::new(self.folder), take)?;
        Ok(match result {
            Ok(outcome) => match serde_json::from_slice(&outcome)? {
                Outcome::Made { width_px, height_px, fps: container_fps, damage } => {
                    let fps = average_fps(frames.pts_nanos()).unwrap_or(container_fps);
                    Ok(EncodedVideo { frames, width_px, height_px, fps, damage })
                }
                Outcome::Video(reason) => Err(Failure::Video(reason)),
                Outcome::Io(reason) => Err(Failure::Io(reason)),
            },
            Err(JobFailure::OfInput(failure)) => Err(Failure::Video(failure.to_string())),
            Err(JobFailure::OfMachine(failure)) => Err(Failure::Machine(failure)),
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
        Err(error) => {
            if let Some(reason) = error.fault_of_machine(Path::new(&task.path)) {
                Outcome::Io(reason)
            } else {
                let cause = error.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
                Outcome::Video(format!("{error}{cause}"))
            }
        }
    };
    sent?;
    Ok(serde_json::to_vec(&outcome)?)
}

/// Encodes the kept frames of a file and passes each to `keep` as its time and an image file, until that returns false. For a
/// frame that is not kept it passes an empty piece, which shows that the work goes on.
fn encode_video(task: &Task, keep: &mut dyn FnMut(&[u8]) -> bool) -> Result<Outcome, VideoError> {
    let mut frames = RecipeFrames::open(&task.path, task.sample, &mut || keep(&[]))?;
    let VideoInfo { orientation, fps_num, fps_den, .. } = *frames.info();
    let (mut coder, mut piece) = (None, Vec::new());
    for frame in frames.by_ref() {
        let RecipeFrame { frame, kept } = frame?;
        let (coder, ..) = if let Some(coder) = &mut coder {
            coder
        } else {
            let (width_px, height_px) = stored_size(&frame, orientation, task.square_pixels, task.resize);
            let new = FrameCoder::new(format(task.encode), width_px, height_px, orientation)?;
            coder.insert((new, width_px, height_px))
        };
        piece.clear();
        if kept {
            piece.extend(frame.pts_nanos().to_le_bytes());
            coder.encode(&frame, &mut piece)?;
        }
        if !keep(&piece) {
            break;
        }
    }
    let (_, width_px, height_px) = coder.ok_or(VideoError::NoFrames)?;
    let damage = if frames.damage().is_none() { String::new() } else { frames.damage().to_string() };
    Ok(Outcome::Made { width_px, height_px, fps: f64::from(fps_num) / f64::from(fps_den), damage })
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
