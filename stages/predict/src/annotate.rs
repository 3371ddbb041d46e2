//! [`Annotator`]: copies of videos with their predictions on their frames, made in helper processes.

use crate::reader::{MACHINE_HELP, Unusable};
use crate::{PredictStageError, VideoFile};
use pipe_predict::alerts::AlertEvent;
use pipe_predict::annotate::{AnnotatedVideo, Caption, Captions, annotate};
use pipe_schemas::stages::ingest::DecodeLimits;
use pipe_schemas::tables::VideoPredictionRow;
use pipe_stage::{Context, Helpers, Job, JobFailure, JobLimits, SendPiece, StageError};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The job of a helper process that writes a copy.
pub const ANNOTATE_JOB: Job = Job { name: "annotate", run };

/// Number of classes in a caption.
const TOP_K: usize = 2;

/// Writes copies to a folder.
pub struct Annotator<'a> {
    helpers: Helpers<'a>,
    folder: PathBuf,
    labels: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Task {
    #[serde(with = "pipe_stage::protocol::paths")]
    video: PathBuf,
    #[serde(with = "pipe_stage::protocol::paths")]
    target: PathBuf,
    captions: Captions,
}

#[derive(Serialize, Deserialize)]
enum Outcome {
    Written(AnnotatedVideo),
    Failed(String),
}

impl<'a> Annotator<'a> {
    /// Returns an annotator that writes to a folder, and creates the folder.
    ///
    /// # Errors
    /// If the folder can't be created.
    pub fn new(
        context: &'a Context,
        folder: &Path,
        labels: &[String],
        limits: DecodeLimits,
    ) -> Result<Self, StageError> {
        fs_err::create_dir_all(folder)?;
        let limits = JobLimits { memory_mb: limits.memory_mb, cpu_secs: limits.cpu_secs };
        let helpers = Helpers::new(context, ANNOTATE_JOB, limits);
        Ok(Self { helpers, folder: std::path::absolute(folder)?, labels: labels.to_vec() })
    }

    /// Writes the copy of a video. Returns its path and what was written, or why there is no copy.
    ///
    /// # Errors
    /// If the machine failed.
    pub fn write(
        &self,
        video: &VideoFile,
        rows: &[VideoPredictionRow],
        events: &[AlertEvent],
    ) -> Result<Result<(PathBuf, AnnotatedVideo), String>, StageError> {
        let captions = captions(rows, events, &self.labels);
        if captions.predictions.is_empty() {
            return Ok(Err("it has no predictions".to_owned()));
        }
        // A copy that is not complete must not look like one.
        let partial = self.folder.join(format!(".{}.partial.mp4", std::process::id()));
        let task = Task { video: std::path::absolute(&video.path)?, target: partial.clone(), captions };
        let ((), result) = self.helpers.run(&serde_json::to_vec(&task)?, || (), |(), _| Ok(()))?;
        let outcome = match result {
            Ok(outcome) => serde_json::from_slice(&outcome)?,
            Err(JobFailure::OfInput(failure)) => Outcome::Failed(Unusable::of(failure).reason),
            Err(JobFailure::OfMachine(failure)) => {
                // It may not exist.
                let _ = fs_err::remove_file(&partial);
                let error = PredictStageError::Machine { path: video.path.clone(), failure };
                return Err(StageError::from(error).with_help(MACHINE_HELP));
            }
        };
        match outcome {
            Outcome::Written(written) => Ok(Ok((publish(&partial, &self.folder, &video.path)?, written))),
            Outcome::Failed(reason) => {
                // It may not exist.
                let _ = fs_err::remove_file(&partial);
                Ok(Err(reason))
            }
        }
    }
}

/// Moves a complete copy to the first free name in a folder: `clip.mp4`, then `clip-2.mp4`. No file is replaced: the folder may be that of
/// the videos.
fn publish(partial: &Path, folder: &Path, video: &Path) -> io::Result<PathBuf> {
    let stem = video.file_stem().map_or_else(|| "video".into(), |stem| stem.to_string_lossy());
    let mut number = 1_u32;
    loop {
        let name = if number == 1 { format!("{stem}.mp4") } else { format!("{stem}-{number}.mp4") };
        let target = folder.join(name);
        // Creates the file or fails, so that the rename replaces an empty file of this process only.
        match fs_err::OpenOptions::new().write(true).create_new(true).open(&target) {
            Ok(_) => return fs_err::rename(partial, &target).map(|()| target),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Returns the texts of predictions and events. The prediction of a whole video is shown throughout.
fn captions(rows: &[VideoPredictionRow], events: &[AlertEvent], labels: &[String]) -> Captions {
    let prediction = |row: &VideoPredictionRow| {
        row.predicted_index?;
        let name = |class: u32| labels.get(class as usize).map_or("", String::as_str);
        let classes =
            row.top(TOP_K).into_iter().map(|(class, probability)| format!("{} {probability:.2}", name(class)));
        let text = classes.collect::<Vec<String>>().join("  ");
        Some(Caption { start_secs: row.start_secs.unwrap_or(0.0), end_secs: row.end_secs.unwrap_or(f64::MAX), text })
    };
    let alert = |event: &AlertEvent| Caption {
        start_secs: event.start_secs,
        end_secs: event.end_secs,
        text: format!("{} up to {:.2}", event.class, event.max_probability),
    };
    Captions { predictions: rows.iter().filter_map(prediction).collect(), alerts: events.iter().map(alert).collect() }
}

fn run(job: &[u8], send: SendPiece) -> io::Result<Vec<u8>> {
    let Task { video, target, captions } = serde_json::from_slice(job)?;
    let mut sent = Ok(());
    // An empty piece shows that the helper is alive.
    let written = annotate(&video, &target, &captions, &mut || {
        sent = send(&[]);
        sent.is_ok()
    });
    sent?;
    let outcome = match written {
        Ok(written) => Outcome::Written(written),
        Err(error) => Outcome::Failed(error.judge().1),
    };
    Ok(serde_json::to_vec(&outcome)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::tables::Verdict;

    #[test]
    fn windows_and_events_become_captions() {
        let without = VideoPredictionRow::without("a", Verdict::Unsuitable, "too short".into());
        let row = VideoPredictionRow {
            start_secs: Some(1.0),
            end_secs: Some(2.0),
            predicted_index: Some(1),
            probabilities: vec![0.25, 0.7, 0.05],
            ..without.clone()
        };
        let labels = ["run", "walk", "jump"].map(str::to_owned);
        let found = captions(&[without, row], &[], &labels);
        let expect = Caption { start_secs: 1.0, end_secs: 2.0, text: "walk 0.70  run 0.25".into() };
        assert_eq!(found, Captions { predictions: vec![expect], alerts: vec![] });
    }

    #[test]
    fn a_copy_replaces_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs_err::write(path("clip.mp4"), "the video itself").expect("written");
        fs_err::os::unix::fs::symlink("nowhere", path("clip-2.mp4")).expect("a link");
        for (name, content) in [("clip-3.mp4", "first"), ("clip-4.mp4", "second")] {
            fs_err::write(path(".partial"), content).expect("written");
            let target = publish(&path(".partial"), folder.path(), &path("clip.mp4")).expect("published");
            assert_eq!(target, path(name));
            assert_eq!(fs_err::read_to_string(&target).expect("read"), content);
        }
        assert_eq!(fs_err::read_to_string(path("clip.mp4")).expect("read"), "the video itself");
        assert!(!path("nowhere").exists() && !path(".partial").exists());
    }
}
