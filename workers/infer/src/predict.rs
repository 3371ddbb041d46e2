//! [`main`]: a job of `pipe predict`.

use pipe_infer::{Libraries, SessionOptions, load};
use pipe_predict::alerts::{AlertEvent, AlertRule};
use pipe_predict::windows::Windows;
use pipe_predict::{Classifier, ExportedModel};
use pipe_schemas::stages::ingest::DecodeLimits;
use pipe_schemas::tables::VideoPredictionRow;
use pipe_stage::protocol::predict::{ModelJob, PredictJob, PredictReply, WindowJob};
use pipe_stage::{Context, StageError};
use pipe_stage_predict::{VideoFile, VideoReader, WindowPlan, predict_videos, predict_windows};
use std::fs::File;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Reads a job from stdin, and writes its replies to what was stdout. If `pipe` ends, so does this process.
pub(crate) fn main(libraries: &Libraries) -> ExitCode {
    let mut replies = match pipe_stage::start() {
        Ok(file) => file,
        Err(code) => return code,
    };
    let last = match run(libraries, &mut replies) {
        Ok(()) => PredictReply::Finished,
        Err(error) => failed(&error),
    };
    // If this can't be written, `pipe` has ended.
    if write(&mut replies, &last).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns the reply for an error.
pub(crate) fn failed(error: &StageError) -> PredictReply {
    let mut causes = error.chain();
    let text = causes.remove(0);
    PredictReply::Failed { error: text, causes, help: error.help().map(str::to_owned) }
}

/// Writes a reply as a line.
pub(crate) fn write(replies: &mut File, reply: &impl serde::Serialize) -> Result<(), StageError> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    Ok(replies.write_all(&line)?)
}

/// Prepares the model of a job.
pub(crate) fn classifier(job: &ModelJob, libraries: &Libraries) -> Result<(Classifier, String), StageError> {
    let with_help = |error: pipe_predict::PredictError| {
        let help = error.help();
        StageError::from(error).with_optional_help(help.as_deref())
    };
    let model = ExportedModel::open(&job.model).map_err(with_help)?;
    let engine = load(job.engine, libraries).map_err(|error| with_help(error.into()))?;
    let options = SessionOptions { threads: job.threads, provider: job.provider };
    let classifier = Classifier::new(Arc::new(model), engine.as_ref(), options).map_err(with_help)?;
    Ok((classifier, engine.title()))
}

fn run(libraries: &Libraries, replies: &mut File) -> Result<(), StageError> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let job: PredictJob = serde_json::from_str(&line)?;
    let windows = job.windows.as_ref().map(window_plan).transpose()?;
    let (mut classifier, engine) = classifier(&job.model, libraries)?;
    let metadata = classifier.model().metadata.clone();
    write(replies, &PredictReply::Ready { engine, labels: metadata.labels })?;

    let context = Context::detached(job.model.threads, Arc::new(AtomicBool::new(false)))
        .with_helper_program(std::env::current_exe()?);
    let reader = VideoReader::new(&context, metadata.stored_frames, DecodeLimits::default());
    let videos: Vec<VideoFile> = job
        .videos
        .iter()
        .map(|video| VideoFile { id: video.path.display().to_string(), path: video.path.clone() })
        .collect();
    let mut table: Option<Vec<VideoPredictionRow>> = job.table.as_ref().map(|_| Vec::new());
    let mut pass = |row: VideoPredictionRow, replies: &mut File| {
        if let Some(rows) = &mut table {
            rows.push(row.clone());
        }
        write(replies, &PredictReply::Row(row))
    };
    match windows {
        None => predict_videos(&context, &reader, &mut classifier, &videos, job.model.batch_size, |row| {
            pass(row, replies)?;
            write(replies, &PredictReply::VideoDone)
        })?,
        Some(plan) => {
            for video in &videos {
                let (rows, events) = predict_windows(&reader, &mut classifier, video, &plan, job.model.batch_size)?;
                for row in rows {
                    pass(row, replies)?;
                }
                for event in events {
                    write(replies, &event_reply(&video.id, event))?;
                }
                write(replies, &PredictReply::VideoDone)?;
            }
        }
    }
    if let (Some(path), Some(mut rows)) = (&job.table, table) {
        rows.sort_by(|a, b| a.video_id.cmp(&b.video_id)); // stable: windows stay in their order
        pipe_tables::write_rows(path, &rows)?;
    }
    Ok(())
}

/// Parses and checks windows and their rules.
pub(crate) fn window_plan(job: &WindowJob) -> Result<WindowPlan, StageError> {
    let windows = Windows { length_secs: job.length_secs, stride_secs: job.stride_secs };
    if let Some(problem) = windows.problem() {
        return Err(StageError::message(problem));
    }
    let rule = |text: &String| {
        AlertRule::parse(text).map_err(|problem| StageError::message(format!("the alert rule `{text}`: {problem}")))
    };
    let rules = job.alerts.iter().map(rule).collect::<Result<_, _>>()?;
    Ok(WindowPlan { windows, smoothing: job.smoothing, rules })
}

fn event_reply(video_id: &str, event: AlertEvent) -> PredictReply {
    let AlertEvent { class, start_secs, end_secs, max_probability, num_windows } = event;
    PredictReply::Event { video_id: video_id.to_owned(), class, start_secs, end_secs, max_probability, num_windows }
}
