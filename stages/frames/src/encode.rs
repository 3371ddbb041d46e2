//! Encodes the kept frames of a video as image files. [`Coders`] runs this in helper processes, which return frames one by one.

use pipe_schemas::stages::frames::{FrameRecipe, FramesParams};
use pipe_stage::{Context, HelperFailure, Helpers, Job, JobFailure, JobLimits, SendPiece, StageError};
use pipe_tables::frames::FrameBuffer;
use pipe_video::{KeptVideo, encode_kept};
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
    recipe: FrameRecipe,
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
        let task = serde_json::to_vec(&Task { path: path.to_owned(), recipe: self.params.recipe() })?;
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
                Outcome::Made { width_px, height_px, fps, damage } => {
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
    let (mut sent, mut piece) = (Ok(()), Vec::new());
    let made = encode_kept(&task.path, task.recipe, &|_| true, &mut |frame| {
        // An empty piece shows that the work goes on.
        piece.clear();
        if let Some(frame) = frame {
            piece.extend(frame.pts_nanos.to_le_bytes());
            piece.extend_from_slice(frame.image);
        }
        sent = send(&piece);
        sent.is_ok()
    });
    let outcome = match made {
        Ok(KeptVideo { width_px, height_px, fps, damage, .. }) => Outcome::Made { width_px, height_px, fps, damage },
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
