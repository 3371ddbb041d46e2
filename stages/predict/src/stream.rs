//! [`predict_stream`]: predictions of the windows of a stream, while it goes on.
//!
//! One thread receives frames from a helper process and collects windows; the caller's thread predicts them. At most [`MAX_WAITING`]
//! windows wait. Beyond that, a stream that can wait, such as a pipe, waits; of a live stream, windows are dropped and counted.

mod receiver;

use crate::reader::{FrameHeader, Unusable};
use crate::videos::with_help;
use crate::windows::{Frame, Judge, predict_window};
use crate::{PredictStageError, WindowPlan};
use pipe_clips::ClipDecoder;
use pipe_predict::alerts::AlertEvent;
use pipe_predict::windows::Window;
use pipe_predict::{Classifier, FrameSet, PredictError, stream_frames};
use pipe_schemas::stages::frames::FrameRecipe;
use pipe_schemas::tables::{SampleRow, Verdict, VideoPredictionRow};
use pipe_stage::protocol::predict::StreamReport;
use pipe_stage::{Context, Job, SendPiece, StageError};
use receiver::Receiver;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// The job of a helper process that reads a stream.
pub const STREAM_JOB: Job = Job { name: "stream", run };

/// How many windows may wait for the network.
const MAX_WAITING: usize = 2;

/// A piece of one byte: the stream is open and live.
const LIVE: u8 = b'L';
/// A piece of one byte: the stream is open, and waits for its reader.
const PATIENT: u8 = b'P';
/// A piece of one byte after each frame. The helper sends small pieces at once, and everything before them.
const FRAME_END: u8 = b'.';

/// What is predicted of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamPlan {
    /// Its name in the rows.
    pub name: String,
    /// What to open, as `pipe_video::VideoStream` takes it.
    pub url: String,
    /// Length and stride of windows, smoothing and alert rules.
    pub windows: WindowPlan,
    /// How many attempts in a row may fail to connect a live stream again.
    pub max_attempts: u32,
}

/// What happens in a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamItem {
    /// A window. The latency is the time from its last frame to its prediction; `None` without a prediction.
    Row {
        /// The prediction, or why there is none.
        row: VideoPredictionRow,
        /// In seconds.
        latency_secs: Option<f64>,
    },
    /// An event.
    Event(AlertEvent),
    /// The connection was lost.
    Reconnecting {
        /// The cause, in one line.
        reason: String,
        /// Time until the next attempt.
        pause_secs: f64,
        /// Its number, from 1.
        attempt: u32,
    },
}

#[derive(Serialize, Deserialize)]
struct Task {
    url: String,
    recipe: FrameRecipe,
}

#[derive(Serialize, Deserialize)]
enum Outcome {
    Ended(FrameSet),
    Failed(Verdict, String),
}

/// From the thread that receives to the one that predicts.
enum Message {
    Window { window: Window<Frame>, completed: Instant, dropped: Vec<Dropped> },
    ConnectionEnd { dropped: Vec<Dropped>, then: Then },
}

/// A window that was not predicted, because the network was too slow.
struct Dropped {
    start_secs: f64,
    end_secs: f64,
}

/// What follows the end of a connection.
enum Then {
    End,
    Fail(Unusable),
    Reconnect { reason: String, pause: Duration, attempt: u32 },
}

/// Predicts the windows of a stream until it ends or `context` is cancelled, and passes what happens to `on_item`.
///
/// # Errors
/// If the network failed, a rule names a class that it does not have, or `on_item` returns an error. A stream that can't be read has a row
/// with its verdict.
pub fn predict_stream(
    context: &Context,
    classifier: &mut Classifier,
    plan: &StreamPlan,
    batch_size: usize,
    mut on_item: impl FnMut(StreamItem) -> Result<(), StageError>,
) -> Result<StreamReport, StageError> {
    let labels = classifier.model().metadata.labels.clone();
    let judge = Judge::new(&plan.windows, &labels)?;
    let task = Task { url: plan.url.clone(), recipe: classifier.model().metadata.stored_frames };
    let decoder = ClipDecoder::new().map_err(PredictError::from)?;
    let latencies = Latencies::default();
    let mut predictor =
        Predictor { classifier, decoder, plan, batch_size, labels, judge, latencies, on_item: &mut on_item };
    let (send, messages) = sync_channel(MAX_WAITING);
    std::thread::scope(|scope| {
        let receiver = std::thread::Builder::new()
            .name("stream".into())
            .spawn_scoped(scope, || Receiver::new(context, plan, send).receive(&task))?;
        let predicted = messages.into_iter().try_for_each(|message| predictor.take(message));
        if predicted.is_err() {
            // Otherwise it would wait for a stream that says nothing.
            context.cancel();
        }
        let received = receiver.join().map_err(|_| PredictStageError::Panicked)?;
        predicted?;
        let Latencies { max_secs: max_latency_secs, .. } = predictor.latencies;
        Ok(StreamReport { mean_latency_secs: predictor.latencies.mean_secs(), max_latency_secs, ..received? })
    })
}

/// Predicts windows in the caller's thread.
struct Predictor<'a> {
    classifier: &'a mut Classifier,
    decoder: ClipDecoder,
    plan: &'a StreamPlan,
    batch_size: usize,
    labels: Vec<String>,
    judge: Judge,
    latencies: Latencies,
    on_item: &'a mut dyn FnMut(StreamItem) -> Result<(), StageError>,
}

impl Predictor<'_> {
    fn take(&mut self, message: Message) -> Result<(), StageError> {
        match message {
            Message::Window { window, completed, dropped } => {
                self.dropped(&dropped)?;
                let row = self.predict(&window)?;
                let latency = row.predicted_index.map(|_| self.latencies.add(completed.elapsed()));
                self.pass(row, latency)
            }
            Message::ConnectionEnd { dropped, then } => {
                self.dropped(&dropped)?;
                let judge = Judge::new(&self.plan.windows, &self.labels)?;
                for event in std::mem::replace(&mut self.judge, judge).finish() {
                    (self.on_item)(StreamItem::Event(event))?;
                }
                self.connection_end(then)
            }
        }
    }

    fn predict(&mut self, window: &Window<Frame>) -> Result<VideoPredictionRow, StageError> {
        let Self { classifier, decoder, plan, batch_size, .. } = self;
        let model = Arc::clone(classifier.model());
        let mut classify =
            |rows: &[SampleRow], clips: &[Vec<u8>]| classifier.predict(rows, clips, *batch_size).map_err(with_help);
        predict_window(&model, &mut classify, decoder, &plan.name, window)
    }

    fn dropped(&mut self, windows: &[Dropped]) -> Result<(), StageError> {
        windows.iter().try_for_each(|Dropped { start_secs, end_secs }| {
            let reason = "dropped: the network was still busy with earlier windows".to_owned();
            let row = VideoPredictionRow::without(&self.plan.name, Verdict::Unsuitable, reason);
            let (start_secs, end_secs) = (Some(*start_secs), Some(*end_secs));
            self.pass(VideoPredictionRow { start_secs, end_secs, ..row }, None)
        })
    }

    fn connection_end(&mut self, then: Then) -> Result<(), StageError> {
        match then {
            Then::End => Ok(()),
            Then::Fail(Unusable { verdict, reason }) => {
                let row = VideoPredictionRow::without(&self.plan.name, verdict, reason);
                (self.on_item)(StreamItem::Row { row, latency_secs: None })
            }
            Then::Reconnect { reason, pause, attempt } => {
                (self.on_item)(StreamItem::Reconnecting { reason, pause_secs: pause.as_secs_f64(), attempt })
            }
        }
    }

    /// Passes on a window and the events that end before it.
    fn pass(&mut self, row: VideoPredictionRow, latency_secs: Option<f64>) -> Result<(), StageError> {
        let (row, events) = self.judge.judge(row, &self.labels);
        (self.on_item)(StreamItem::Row { row, latency_secs })?;
        events.into_iter().try_for_each(|event| (self.on_item)(StreamItem::Event(event)))
    }
}

/// Times from the last frame of a window to its prediction.
#[derive(Default)]
struct Latencies {
    count: u64,
    sum_secs: f64,
    max_secs: f64,
}

impl Latencies {
    fn add(&mut self, latency: Duration) -> f64 {
        let secs = latency.as_secs_f64();
        self.count += 1;
        self.sum_secs += secs;
        self.max_secs = self.max_secs.max(secs);
        secs
    }

    fn mean_secs(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_secs / self.count as f64 }
    }
}

fn run(job: &[u8], send: SendPiece) -> io::Result<Vec<u8>> {
    let Task { url, recipe } = serde_json::from_slice(job)?;
    let (send, mut piece) = (RefCell::new((send, Ok(()))), Vec::new());
    let pass = |piece: &[u8]| {
        let (send, sent) = &mut *send.borrow_mut();
        *sent = send(piece);
        sent.is_ok()
    };
    let opened = |is_live| {
        pass(&[if is_live { LIVE } else { PATIENT }]);
    };
    let read = stream_frames(&url, recipe, opened, &mut |frame| {
        piece.clear();
        if let Some(frame) = frame {
            piece.extend(FrameHeader::of(&frame).to_bytes());
            piece.extend_from_slice(frame.image);
        }
        pass(&piece) && pass(&[FRAME_END])
    });
    let outcome = match read {
        Ok(frames) => Outcome::Ended(frames),
        Err(error) => {
            let (verdict, reason) = error.judge();
            Outcome::Failed(verdict, reason)
        }
    };
    send.into_inner().1?;
    Ok(serde_json::to_vec(&outcome)?)
}
