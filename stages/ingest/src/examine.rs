//! [`Examiner`]: examines files in helper processes.

use crate::IngestError;
use pipe_schemas::stages::ingest::{DecodeLimits, Verify};
use pipe_schemas::tables::{Verdict, VideoRow};
use pipe_stage::{Context, HelperFailure, Helpers, Job, JobFailure, JobLimits, SendPiece, SourceFile, StageError};
use pipe_video::{Damage, Decoder, FrameHashes, Orientation, VideoError, VideoInfo};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The job of a helper process of this stage.
pub const JOB: Job = Job { name: "ingest", run };

/// A helper reports that it is alive after every 16 frames.
const FRAMES_PER_PIECE: u64 = 16;

/// The help for a failure of the machine.
const MACHINE_HELP: &str = "free memory or processes of this machine, or lower `limits.memory_mb`, and run again; nothing is recorded about the file";

/// Examines files; shared by several threads.
pub(crate) struct Examiner<'a> {
    helpers: Helpers<'a>,
    verify: Verify,
}

/// The input of a helper's job.
#[derive(Serialize, Deserialize)]
struct Task {
    #[serde(with = "pipe_stage::protocol::paths")]
    path: PathBuf,
    verify: Verify,
}

/// The result of examining a file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    codec: String,
    width_px: u32,
    height_px: u32,
    fps_num: u32,
    fps_den: u32,
    frames_declared: u64,
    frames_decoded: Option<u64>,
    mirrored: bool,
    rotation: u32,
    sample_aspect: (u32, u32),
    hashes: Vec<u64>,
    /// The verdict and its reason, unless the verdict is `ok`.
    wrong: Option<(Verdict, String)>,
    /// Why the file could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<String>,
}

impl<'a> Examiner<'a> {
    pub(crate) fn new(context: &'a Context, verify: Verify, limits: DecodeLimits) -> Self {
        let DecodeLimits { cpu_secs, memory_mb } = limits;
        Self { helpers: Helpers::new(context, JOB, JobLimits { memory_mb, cpu_secs }), verify }
    }

    /// Examines the file at `path`.
    pub(crate) fn examine(&self, path: &Path) -> Result<Found, StageError> {
        let task = serde_json::to_vec(&Task { path: path.to_owned(), verify: self.verify })?;
        let take = |frames: &mut u64, piece: &[u8]| -> Result<(), StageError> {
            *frames = piece.try_into().map_or(0, u64::from_le_bytes);
            Ok(())
        };
        let (frames, result) = self.helpers.run(&task, || 0, take)?;
        let failure = match result {
            Ok(found) => {
                let found: Found = serde_json::from_slice(&found)?;
                // The file was hashed just before: the machine is at fault, not the file.
                return match found.lost {
                    Some(reason) => Err(IngestError::Lost { path: path.into(), reason }.into()),
                    None => Ok(found),
                };
            }
            Err(JobFailure::OfInput(failure)) => failure,
            Err(JobFailure::OfMachine(failure)) => {
                let path = path.into();
                return Err(StageError::from(IngestError::Machine { path, failure }).with_help(MACHINE_HELP));
            }
        };
        let verdict = match failure {
            HelperFailure::OutOfTime { .. } | HelperFailure::Hung { .. } => Verdict::TimedOut,
            HelperFailure::Crashed { .. } | HelperFailure::Ended { .. } | HelperFailure::NotStarted { .. } => {
                Verdict::Crashed
            }
        };
        let decoded = if frames == 0 { String::new() } else { format!("; at least {}", can_be_decoded(frames)) };
        let frames_decoded = (self.verify == Verify::Decode).then_some(frames);
        Ok(Found { frames_decoded, wrong: Some((verdict, format!("{failure}{decoded}"))), ..Found::default() })
    }
}

fn run(job: &[u8], send: SendPiece) -> io::Result<Vec<u8>> {
    let task: Task = serde_json::from_slice(job)?;
    let path = task.path.as_path();
    let mut found = match pipe_video::probe(path) {
        Ok(info) => Found::of(info),
        Err(error) => Found::unusable(&error, path),
    };
    if task.verify == Verify::Decode {
        found.frames_decoded = Some(0);
        if found.wrong.is_none() {
            decode(path, &mut found, send)?;
        }
    }
    Ok(serde_json::to_vec(&found)?)
}

/// Decodes all frames of a file.
fn decode(path: &Path, found: &mut Found, send: SendPiece) -> io::Result<()> {
    let orientation = Orientation { mirrored: found.mirrored, rotation: found.rotation };
    let (mut frames, mut hashes, mut damage) = (0_u64, FrameHashes::new(orientation), Damage::default());
    let mut error = None;
    match Decoder::open(path) {
        Ok(mut decoder) => {
            while error.is_none()
                && let Some(frame) = decoder.next()
            {
                let examined = frame.and_then(|frame| if frame.is_damaged() { Ok(()) } else { hashes.add(&frame) });
                if let Err(decoding) = examined {
                    error = Some(decoding);
                    break;
                }
                frames += 1;
                if frames.is_multiple_of(FRAMES_PER_PIECE) {
                    send(&frames.to_le_bytes())?;
                }
            }
            damage = decoder.damage().clone();
        }
        Err(opening) => error = Some(opening),
    }
    (found.frames_decoded, found.hashes) = (Some(frames), hashes.into_hashes());
    if let Some(error) = error {
        found.lost = error.fault_of_machine(path);
        let (verdict, reason) = error.judge();
        found.wrong = Some((verdict, format!("{reason}; {}", can_be_decoded(frames))));
    } else if !damage.is_none() {
        found.wrong = Some((Verdict::Damaged, format!("{damage}; {}", can_be_decoded(frames))));
    }
    Ok(())
}

fn can_be_decoded(frames: u64) -> String {
    if frames == 1 { "1 frame can be decoded".into() } else { format!("{frames} frames can be decoded") }
}

impl Found {
    /// Returns whether the verdict may be better next time, on a machine under less load.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.wrong, Some((Verdict::TimedOut | Verdict::Crashed, _)))
    }

    /// Returns the result for a file with a name that is not UTF-8, which is not opened.
    pub(crate) fn odd_name() -> Self {
        let reason = "the name of the file or of its folder is not UTF-8; rename it";
        Self { wrong: Some((Verdict::OddName, reason.into())), ..Self::default() }
    }

    /// Returns the reason for the verdict; empty for `ok`.
    pub(crate) fn reason(&self) -> &str {
        self.wrong.as_ref().map_or("", |(_, reason)| reason)
    }

    /// Returns the row of `file`.
    pub(crate) fn into_row(self, video_id: String, file: &SourceFile) -> VideoRow {
        let (verdict, reason) = self.wrong.unwrap_or((Verdict::Ok, String::new()));
        VideoRow {
            video_id,
            path: file.path.clone(),
            digest: file.digest.clone(),
            size_bytes: file.size_bytes,
            codec: self.codec,
            width_px: self.width_px,
            height_px: self.height_px,
            fps_num: self.fps_num,
            fps_den: self.fps_den.max(1),
            frames_declared: self.frames_declared,
            frames_decoded: self.frames_decoded,
            mirrored: self.mirrored,
            rotation: self.rotation,
            sample_aspect_num: self.sample_aspect.0.max(1),
            sample_aspect_den: self.sample_aspect.1.max(1),
            hashes: self.hashes,
            verdict,
            reason,
        }
    }

    fn of(info: VideoInfo) -> Self {
        let VideoInfo { codec, width_px, height_px, fps_num, fps_den, frames_declared, orientation, sample_aspect } =
            info;
        Self {
            codec,
            width_px,
            height_px,
            fps_num,
            fps_den,
            frames_declared,
            mirrored: orientation.mirrored,
            rotation: orientation.rotation,
            sample_aspect,
            frames_decoded: None,
            hashes: Vec::new(),
            wrong: None,
            lost: None,
        }
    }

    fn unusable(error: &VideoError, path: &Path) -> Self {
        let known = match error {
            VideoError::Undecodable { info, .. } => Self::of((**info).clone()),
            _ => Self::default(),
        };
        Self { wrong: Some(error.judge()), lost: error.fault_of_machine(path), ..known }
    }
}
