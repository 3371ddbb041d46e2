//! [`VideoReader`]: the images of videos that their views show, decoded in helper processes.

use crate::PredictStageError;
use pipe_predict::{FrameSet, FramesTask, KeptFrame, collect_frames};
use pipe_schemas::stages::augment::Sampler;
use pipe_schemas::stages::frames::FrameRecipe;
use pipe_schemas::stages::ingest::DecodeLimits;
use pipe_schemas::tables::Verdict;
use pipe_stage::{Context, HelperFailure, Helpers, Job, JobFailure, JobLimits, SendPiece, StageError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The job of a helper process of this stage.
pub const JOB: Job = Job { name: "predict", run };

/// The help for a failure of the machine.
pub(crate) const MACHINE_HELP: &str = "free memory or processes of this machine, and run again";

/// Largest size of the images of a video that are held in memory.
const MAX_IMAGE_BYTES: usize = 1 << 30;

/// Decodes videos in helpers; shared by several threads.
pub struct VideoReader<'a> {
    helpers: Arc<Helpers<'a>>,
    recipe: FrameRecipe,
    /// Set when no one waits for the frames any more.
    given_up: Arc<AtomicBool>,
}

/// A decoded video.
#[derive(Debug)]
pub struct ReadVideo {
    /// Its number of frames and their size.
    pub frames: FrameSet,
    /// Images by the position of their frame.
    pub images: BTreeMap<u32, Vec<u8>>,
}

/// Why a video has no prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What kind of reason it is.
    pub verdict: Verdict,
    /// The reason.
    pub reason: String,
}

/// The input of a helper's job.
#[derive(Serialize, Deserialize)]
struct Task {
    #[serde(with = "pipe_stage::protocol::paths")]
    path: PathBuf,
    recipe: FrameRecipe,
    sampler: Option<Sampler>,
}

/// The result of a helper's job.
#[derive(Serialize, Deserialize)]
enum Outcome {
    Read(FrameSet),
    Video(Verdict, String),
}

/// A frame of a video, as it arrives from the helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Position among the kept frames.
    pub(crate) index: u32,
    /// Presentation time.
    pub(crate) pts_nanos: i64,
    /// Size of the image.
    pub(crate) width_px: u32,
    pub(crate) height_px: u32,
}

/// What was received of a video.
struct Received<T> {
    value: T,
    too_large: bool,
}

impl<'a> VideoReader<'a> {
    /// Returns a reader that makes images with the recipe of a model.
    pub fn new(context: &'a Context, recipe: FrameRecipe, limits: DecodeLimits) -> Self {
        let limits = JobLimits { memory_mb: limits.memory_mb, cpu_secs: limits.cpu_secs };
        Self { helpers: Arc::new(Helpers::new(context, JOB, limits)), recipe, given_up: Arc::default() }
    }

    /// Returns a reader with the same helpers that stops when `given_up` is set: its calls return [`StageError::cancelled`].
    #[must_use]
    pub fn until(&self, given_up: Arc<AtomicBool>) -> Self {
        Self { helpers: Arc::clone(&self.helpers), recipe: self.recipe, given_up }
    }

    /// Returns an error after the frames were given up.
    pub(crate) fn check_given_up(&self) -> Result<(), StageError> {
        if self.given_up.load(Ordering::Relaxed) { Err(StageError::cancelled()) } else { Ok(()) }
    }

    /// Decodes a file, and returns the images that a sampler chooses.
    ///
    /// # Errors
    /// If the request was cancelled, or the machine failed. A file that can't be used is the inner error.
    pub fn read(&self, path: &Path, sampler: &Sampler) -> Result<Result<ReadVideo, Unusable>, StageError> {
        let new = || Received { value: (BTreeMap::new(), 0_usize), too_large: false };
        let take = |received: &mut Received<(BTreeMap<u32, Vec<u8>>, usize)>, frame: FrameHeader, image: &[u8]| {
            received.value.1 += image.len();
            received.too_large |= received.value.1 > MAX_IMAGE_BYTES;
            if !received.too_large {
                received.value.0.insert(frame.index, image.to_vec());
            }
            Ok(())
        };
        let (received, result) = self.run(path, Some(sampler), new, take)?;
        let frames = match result {
            Ok(frames) => frames,
            Err(unusable) => return Ok(Err(unusable)),
        };
        if received.too_large {
            let reason = format!("the views need more than {} MB of images", MAX_IMAGE_BYTES >> 20);
            return Ok(Err(Unusable { verdict: Verdict::Unsuitable, reason }));
        }
        Ok(Ok(ReadVideo { frames, images: received.value.0 }))
    }

    /// Decodes a file, and passes each kept frame to `take` with its image. If the helper must start again,
    /// so does the value, from `new`.
    pub(crate) fn run<T>(
        &self,
        path: &Path,
        sampler: Option<&Sampler>,
        new: impl Fn() -> T,
        take: impl Fn(&mut T, FrameHeader, &[u8]) -> Result<(), StageError>,
    ) -> Result<(T, Result<FrameSet, Unusable>), StageError> {
        self.check_given_up()?;
        // A helper does not run in the folder of its parent.
        let task = Task { path: std::path::absolute(path)?, recipe: self.recipe, sampler: sampler.cloned() };
        let (value, result) = self.helpers.run(&serde_json::to_vec(&task)?, new, |value, piece| {
            self.check_given_up()?;
            // An empty piece only shows that the helper is alive.
            match FrameHeader::split(piece) {
                Some((frame, image)) => take(value, frame, image),
                None => Ok(()),
            }
        })?;
        let result = match result {
            Ok(outcome) => match serde_json::from_slice(&outcome)? {
                Outcome::Read(frames) => Ok(frames),
                Outcome::Video(verdict, reason) => Err(Unusable { verdict, reason }),
            },
            Err(JobFailure::OfInput(failure)) => Err(Unusable::of(failure)),
            Err(JobFailure::OfMachine(failure)) => {
                let error = PredictStageError::Machine { path: path.to_owned(), failure };
                return Err(StageError::from(error).with_help(MACHINE_HELP));
            }
        };
        Ok((value, result))
    }
}

impl FrameHeader {
    /// Returns the header of a frame.
    pub(crate) fn of(frame: &KeptFrame) -> Self {
        let KeptFrame { index, pts_nanos, width_px, height_px, .. } = *frame;
        Self { index, pts_nanos, width_px, height_px }
    }

    pub(crate) fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&self.index.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.pts_nanos.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.width_px.to_le_bytes());
        bytes[16..].copy_from_slice(&self.height_px.to_le_bytes());
        bytes
    }

    /// Splits a piece into the header and the image.
    pub(crate) fn split(piece: &[u8]) -> Option<(Self, &[u8])> {
        let (index, rest) = piece.split_first_chunk()?;
        let (pts_nanos, rest) = rest.split_first_chunk()?;
        let (width_px, rest) = rest.split_first_chunk()?;
        let (height_px, image) = rest.split_first_chunk()?;
        let (index, pts_nanos) = (u32::from_le_bytes(*index), i64::from_le_bytes(*pts_nanos));
        let (width_px, height_px) = (u32::from_le_bytes(*width_px), u32::from_le_bytes(*height_px));
        Some((Self { index, pts_nanos, width_px, height_px }, image))
    }
}

impl Unusable {
    pub(crate) fn of(failure: HelperFailure) -> Self {
        let verdict = match failure {
            HelperFailure::OutOfTime { .. } | HelperFailure::Hung { .. } => Verdict::TimedOut,
            HelperFailure::Crashed { .. } | HelperFailure::Ended { .. } | HelperFailure::NotStarted { .. } => {
                Verdict::Crashed
            }
        };
        Self { verdict, reason: failure.to_string() }
    }
}

fn run(job: &[u8], send: SendPiece) -> io::Result<Vec<u8>> {
    let Task { path, recipe, sampler } = serde_json::from_slice(job)?;
    let (mut sent, mut piece) = (Ok(()), Vec::new());
    let read = collect_frames(&FramesTask { path, recipe, sampler }, &mut |frame| {
        piece.clear();
        if let Some(frame) = frame {
            piece.extend(FrameHeader::of(&frame).to_bytes());
            piece.extend_from_slice(frame.image);
        }
        sent = send(&piece);
        sent.is_ok()
    });
    let outcome = match read {
        Ok(frames) => Outcome::Read(frames),
        Err(error) => {
            let (verdict, reason) = error.judge();
            Outcome::Video(verdict, reason)
        }
    };
    sent?;
    Ok(serde_json::to_vec(&outcome)?)
}
