//! [`main`]: a job of `pipe predict`.

mod table;

use pipe_infer::{Libraries, SessionOptions, load};
use pipe_predict::alerts::{AlertEvent, AlertRule};
use pipe_predict::windows::Windows;
use pipe_predict::{Classifier, ExportedModel, PredictError};
use pipe_schemas::stages::ingest::DecodeLimits;
use pipe_schemas::tables::{SampleRow, VideoPredictionRow};
use pipe_stage::protocol::predict::{ModelJob, PredictJob, PredictReply, StreamJob, VideoPath, WindowJob};
use pipe_stage::{Context, StageError};
use pipe_stage_predict::{
    Annotator, StreamItem, StreamPlan, VideoFile, VideoReader, WindowItem, WindowPlan, open_classifiers,
    predict_stream, predict_videos, predict_windows,
};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use table::TableFile;

/// The exit code for an argument of the user that is wrong, as that of `pipe` itself.
const WRONG_ARGUMENT: u8 = 2;

/// What is wrong with an argument of the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongArgument(String);

/// Reads a job from stdin, and writes its replies to what was stdout. If `pipe` ends, so does this process.
pub(crate) fn main(libraries: &Libraries) -> ExitCode {
    let mut replies = match pipe_stage::start() {
        Ok(file) => file,
        Err(code) => return code,
    };
    let (last, code) = match run(libraries, &mut replies) {
        Ok(()) => (PredictReply::Finished, ExitCode::SUCCESS),
        Err(error) if is_of_argument(&error) => (failed(&error), WRONG_ARGUMENT.into()),
        Err(error) => (failed(&error), ExitCode::SUCCESS),
    };
    // If this can't be written, `pipe` has ended.
    if write(&mut replies, &last).is_ok() { code } else { ExitCode::FAILURE }
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

/// Prepares the model of a job, as copies if several of `num_videos` can be computed at a time. Returns the name of the engine too.
pub(crate) fn classifiers(
    job: &ModelJob,
    libraries: &Libraries,
    num_videos: usize,
) -> Result<(Vec<Classifier>, String), StageError> {
    let with_help = StageError::explained(PredictError::help);
    let model = Arc::new(ExportedModel::open(&job.model).map_err(&with_help)?);
    let engine = load(job.engine, libraries).map_err(|error| with_help(error.into()))?;
    let options = SessionOptions { threads: job.threads, provider: job.provider, precision: job.precision };
    let title = engine.title_in(job.precision);
    Ok((open_classifiers(&model, engine.as_ref(), options, job.batch_size, num_videos)?, title))
}

fn run(libraries: &Libraries, replies: &mut File) -> Result<(), StageError> {
    let mut stdin = BufReader::new(std::io::stdin());
    let mut line = String::new();
    stdin.read_line(&mut line)?;
    let job: PredictJob = serde_json::from_str(&line)?;
    let windows = job.windows.as_ref().map(window_plan).transpose().map_err(WrongArgument)?;
    // Windows are computed one after the other.
    let num_at_once = if windows.is_some() { 1 } else { job.videos.len() };
    let (mut classifiers, engine) = classifiers(&job.model, libraries, num_at_once)?;
    let model = Arc::clone(classifiers[0].model());
    let labels = &model.metadata.labels;
    windows
        .iter()
        .try_for_each(|plan| plan.check_classes(labels))
        .map_err(StageError::explained(PredictError::help))?;

    let is_cancelled = Arc::new(AtomicBool::new(false));
    let context =
        Context::detached(job.model.threads, Arc::clone(&is_cancelled)).with_helper_program(std::env::current_exe()?);
    let limits = DecodeLimits::default();
    let annotator = job.annotate.as_ref().map(|folder| Annotator::new(&context, folder, labels, limits)).transpose()?;
    let table = job.table.as_deref().map(TableFile::new).transpose()?;
    // From here on `pipe` may replace the files of the user.
    write(replies, &PredictReply::Ready { engine, labels: labels.clone() })?;

    if let Some(stream) = &job.stream {
        // `pipe` closes stdin to end the stream.
        std::thread::Builder::new().name("stop".into()).spawn(move || {
            let _ = stdin.read_to_end(&mut Vec::new());
            is_cancelled.store(true, Ordering::Relaxed);
        })?;
        let windows = windows.ok_or_else(|| StageError::message("a stream needs windows"))?;
        return run_stream(&context, &mut classifiers[0], stream, windows, job.model.batch_size, replies);
    }
    let mut output = Output { replies, table, annotator, shown: (Vec::new(), Vec::new()) };
    let reader = VideoReader::new(&context, model.metadata.stored_frames, limits);
    run_videos(&context, &reader, &mut classifiers, &job, windows, &mut output)?;
    output.table.map_or(Ok(()), TableFile::write)
}

/// Predicts the videos of a job, in their order.
fn run_videos(
    context: &Context,
    reader: &VideoReader<'_>,
    classifiers: &mut [Classifier],
    job: &PredictJob,
    windows: Option<WindowPlan>,
    output: &mut Output<'_>,
) -> Result<(), StageError> {
    let file = |video: &VideoPath| VideoFile { id: video.path.display().to_string(), path: video.path.clone() };
    let videos: Vec<VideoFile> = job.videos.iter().map(file).collect();
    let batch_size = job.model.batch_size;
    let Some(plan) = windows else {
        let mut next = videos.iter();
        return predict_videos(context, reader, classifiers, &videos, batch_size, |row| {
            // Rows are in the order of the videos.
            let Some(video) = next.next() else { return Ok(()) };
            output.item(&video.id, WindowItem::Row(row))?;
            output.end_video(video)
        });
    };
    let classifier = &mut classifiers[0];
    let model = Arc::clone(classifier.model());
    videos.iter().try_for_each(|video| {
        let classify = |rows: &[SampleRow], clips: &[Vec<u8>]| {
            classifier.predict(rows, clips, batch_size).map_err(StageError::explained(PredictError::help))
        };
        predict_windows(reader, &model, video, &plan, usize::MAX, classify, |item| output.item(&video.id, item))?;
        output.end_video(video)
    })
}

/// Returns whether an argument of the user is wrong, on its own or for this network.
fn is_of_argument(error: &StageError) -> bool {
    error.downcast_ref::<WrongArgument>().is_some()
        || matches!(error.downcast_ref(), Some(PredictError::UnknownClass { .. }))
}

/// Where predictions of videos go.
struct Output<'a> {
    replies: &'a mut File,
    table: Option<TableFile>,
    annotator: Option<Annotator<'a>>,
    /// What the copy of the current video shows.
    shown: (Vec<VideoPredictionRow>, Vec<AlertEvent>),
}

impl Output<'_> {
    /// Passes on a row or an event at once.
    fn item(&mut self, video_id: &str, item: WindowItem) -> Result<(), StageError> {
        let keeps = self.annotator.is_some();
        match item {
            WindowItem::Row(row) => {
                self.table.iter_mut().for_each(|table| table.rows.push(row.clone()));
                self.shown.0.extend(keeps.then(|| row.clone()));
                write(self.replies, &PredictReply::Row { row, latency_secs: None })
            }
            WindowItem::Event(event) => {
                self.shown.1.extend(keeps.then(|| event.clone()));
                write(self.replies, &event_reply(video_id, event))
            }
        }
    }

    /// Writes the copy of a video, all of whose rows and events were passed on.
    fn end_video(&mut self, video: &VideoFile) -> Result<(), StageError> {
        let (rows, events) = std::mem::take(&mut self.shown);
        if let Some(annotator) = &self.annotator {
            let (path, reason) = match annotator.write(video, &rows, &events)? {
                Ok((path, written)) => (Some(path), written.differences()),
                Err(reason) => (None, reason),
            };
            write(self.replies, &PredictReply::Annotated { video_id: video.id.clone(), path, reason })?;
        }
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
///
/// # Errors
/// What is wrong, as a lower-case fragment.
pub(crate) fn window_plan(job: &WindowJob) -> Result<WindowPlan, String> {
    let windows = Windows { length_secs: job.length_secs, stride_secs: job.stride_secs };
    if let Some(problem) = windows.problem() {
        return Err(problem);
    }
    let rule = |text: &String| AlertRule::parse(text).map_err(|problem| format!("the alert rule `{text}`: {problem}"));
    let rules: Vec<AlertRule> = job.alerts.iter().map(rule).collect::<Result<_, _>>()?;
    if let Some(at) = (1..rules.len()).find(|at| rules[..*at].contains(&rules[*at])) {
        return Err(format!("the alert rule `{}` is given twice", job.alerts[at]));
    }
    Ok(WindowPlan { windows, smoothing: job.smoothing, rules })
}

fn event_reply(video_id: &str, event: AlertEvent) -> PredictReply {
    let AlertEvent { class, start_secs, end_secs, max_probability, num_windows } = event;
    PredictReply::Event { video_id: video_id.to_owned(), class, start_secs, end_secs, max_probability, num_windows }
}
