//! [`main`]: a job of `pipe predict`.

use pipe_infer::{Libraries, SessionOptions, load};
use pipe_predict::alerts::{AlertEvent, AlertRule};
use pipe_predict::windows::Windows;
use pipe_predict::{Classifier, ExportedModel};
use pipe_schemas::stages::ingest::DecodeLimits;
use pipe_schemas::tables::VideoPredictionRow;
use pipe_stage::protocol::predict::{ModelJob, PredictJob, PredictReply, StreamJob, WindowJob};
use pipe_stage::{Context, StageError};
use pipe_stage_predict::{
    Annotator, StreamItem, StreamPlan, VideoFile, VideoReader, WindowPlan, predict_stream, predict_videos,
    predict_windows,
};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    let with_help = StageError::explained(pipe_predict::PredictError::help);
    let model = ExportedModel::open(&job.model).map_err(&with_help)?;
    let engine = load(job.engine, libraries).map_err(|error| with_help(error.into()))?;
    let options = SessionOptions { threads: job.threads, provider: job.provider };
    let classifier = Classifier::new(Arc::new(model), engine.as_ref(), options).map_err(with_help)?;
    Ok((classifier, engine.title()))
}

fn run(libraries: &Libraries, replies: &mut File) -> Result<(), StageError> {
    let mut stdin = BufReader::new(std::io::stdin());
    let mut line = String::new();
    stdin.read_line(&mut line)?;
    let job: PredictJob = serde_json::from_str(&line)?;
    let windows = job.windows.as_ref().map(window_plan).transpose()?;
    let (mut classifier, engine) = classifier(&job.model, libraries)?;
    let metadata = classifier.model().metadata.clone();
    write(replies, &PredictReply::Ready { engine, labels: metadata.labels.clone() })?;

    let is_cancelled = Arc::new(AtomicBool::new(false));
    let context =
        Context::detached(job.model.threads, Arc::clone(&is_cancelled)).with_helper_program(std::env::current_exe()?);
    if let Some(stream) = &job.stream {
        // `pipe` closes stdin to end the stream.
        std::thread::Builder::new().name("stop".into()).spawn(move || {
            let _ = stdin.read_to_end(&mut Vec::new());
            is_cancelled.store(true, Ordering::Relaxed);
        })?;
        let windows = windows.ok_or_else(|| StageError::message("a stream needs windows"))?;
        return run_stream(&context, &mut classifier, stream, windows, job.model.batch_size, replies);
    }
    let limits = DecodeLimits::default();
    let reader = VideoReader::new(&context, metadata.stored_frames, limits);
    let annotator = |folder: &PathBuf| Annotator::new(&context, folder, &metadata.labels, limits);
    let mut output = Output {
        annotator: job.annotate.as_ref().map(annotator).transpose()?,
        table: job.table.as_ref().map(|_| Vec::new()),
        replies,
    };
    let videos: Vec<VideoFile> = job
        .videos
        .iter()
        .map(|video| VideoFile { id: video.path.display().to_string(), path: video.path.clone() })
        .collect();
    match windows {
        None => {
            let mut next = videos.iter();
            predict_videos(&context, &reader, &mut classifier, &videos, job.model.batch_size, |row| {
                // Rows are in the order of the videos.
                next.next().map_or(Ok(()), |video| output.video(video, vec![row], Vec::new()))
            })?;
        }
        Some(plan) => {
            for video in &videos {
                let (rows, events) = predict_windows(&reader, &mut classifier, video, &plan, job.model.batch_size)?;
                output.video(video, rows, events)?;
            }
        }
    }
    if let (Some(path), Some(mut rows)) = (&job.table, output.table) {
        rows.sort_by(|a, b| a.video_id.cmp(&b.video_id)); // stable: windows stay in their order
        pipe_tables::write_rows(path, &rows)?;
    }
    Ok(())
}

/// Where predictions of videos go.
struct Output<'a> {
    replies: &'a mut File,
    table: Option<Vec<VideoPredictionRow>>,
    annotator: Option<Annotator<'a>>,
}

impl Output<'_> {
    /// Passes on what is known of a video.
    fn video(
        &mut self,
        video: &VideoFile,
        rows: Vec<VideoPredictionRow>,
        events: Vec<AlertEvent>,
    ) -> Result<(), StageError> {
        for row in &rows {
            write(self.replies, &PredictReply::Row { row: row.clone(), latency_secs: None })?;
        }
        for event in &events {
            write(self.replies, &event_reply(&video.id, event.clone()))?;
        }
        if let Some(annotator) = &mut self.annotator {
            let (path, reason) = match annotator.write(video, &rows, &events)? {
                Ok((path, written)) => (Some(path), written.differences()),
                Err(reason) => (None, reason),
            };
            write(self.replies, &PredictReply::Annotated { video_id: video.id.clone(), path, reason })?;
        }
        self.table.iter_mut().for_each(|table| table.extend_from_slice(&rows));
        write(self.replies, &PredictReply::VideoDone)
    }
}

fn run_stream(
    context: &Context,
    classifier: &mut Classifier,
    job: &StreamJob,
    windows: WindowPlan,
    batch_size: usize,
    replies: &mut File,
) -> Result<(), StageError> {
    let StreamJob { name, url, max_attempts } = job.clone();
    let plan = StreamPlan { name, url, windows, max_attempts };
    let report = predict_stream(context, classifier, &plan, batch_size, |item| {
        let reply = match item {
            StreamItem::Row { row, latency_secs } => PredictReply::Row { row, latency_secs },
            StreamItem::Event(event) => event_reply(&plan.name, event),
            StreamItem::Reconnecting { reason, pause_secs, attempt } => {
                PredictReply::Reconnecting { reason, pause_secs, attempt }
            }
        };
        write(replies, &reply)
    })?;
    write(replies, &PredictReply::StreamDone(report))
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
