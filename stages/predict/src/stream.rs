//! [`predict_stream`]: predictions of the windows of a stream, while it goes on.
//!
//! One thread receives frames from a helper process and collects windows; the caller's thread predicts them. At most [`MAX_WAITING`]
//! windows wait. Beyond that, a stream that can wait, such as a pipe, waits; of a live stream, windows are dropped and counted.

use crate::reader::{FrameHeader, Unusable};
use crate::videos::with_help;
use crate::windows::{Frame, Judge, predict_window};
use crate::{PredictStageError, WindowPlan};
use pipe_clips::ClipDecoder;
use pipe_predict::alerts::AlertEvent;
use pipe_predict::windows::{Window, WindowFrames};
use pipe_predict::{Classifier, FrameSet, PredictError, stream_frames};
use pipe_schemas::stages::frames::FrameRecipe;
use pipe_schemas::tables::{SampleRow, Verdict, VideoPredictionRow};
use pipe_stage::protocol::predict::StreamReport;
use pipe_stage::{Context, Helpers, Job, SendPiece, StageError};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// The job of a helper process that reads a stream.
pub const STREAM_JOB: Job = Job { name: "stream", run };

/// How many windows may wait for the network.
const MAX_WAITING: usize = 2;

/// Address space of the helper, in MiB.
const MEMORY_MB: u64 = 2048;

/// Pauses before the attempts to connect again, in seconds; the last one repeats.
const PAUSES_SECS: [u64; 5] = [1, 2, 4, 8, 16];

/// Time between two checks whether the user has stopped the command.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

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

/// Receives frames, and sends windows.
struct Receiver<'a> {
    context: &'a Context,
    plan: &'a StreamPlan,
    send: SyncSender<Message>,
    report: StreamReport,
    drops: Drops,
    dropped: Vec<Dropped>,
    /// When the first frame of all arrived.
    first_frame: Option<Instant>,
    /// The time of the last frame, in seconds from the first frame of all.
    end_secs: f64,
}

/// What one connection gave so far.
struct Connection {
    frames: WindowFrames<Frame>,
    /// From the first frame of all connections to that of this one, in seconds.
    offset_secs: f64,
    first_nanos: i64,
    num_frames: u64,
    is_live: bool,
}

/// How a connection ended.
enum End {
    /// The user stopped it.
    Stopped,
    /// The stream was at its end.
    Complete,
    Failed(Unusable),
}

impl<'a> Receiver<'a> {
    fn new(context: &'a Context, plan: &'a StreamPlan, send: SyncSender<Message>) -> Self {
        let (report, drops) = (StreamReport::default(), Drops::default());
        Self { context, plan, send, report, drops, dropped: Vec::new(), first_frame: None, end_secs: 0.0 }
    }

    /// Connects, and connects again, until the stream ends, attempts fail, or the user stops.
    fn receive(mut self, task: &Task) -> Result<StreamReport, StageError> {
        let helpers = Helpers::of_streams(self.context, STREAM_JOB, MEMORY_MB);
        let job = serde_json::to_vec(task)?;
        let (mut num_failed, mut was_live) = (0, false);
        loop {
            let mut connection = Connection {
                frames: WindowFrames::new(self.plan.windows.windows),
                offset_secs: 0.0,
                first_nanos: 0,
                num_frames: 0,
                is_live: false,
            };
            let end = self.connect(&helpers, &job, &mut connection)?;
            self.drops.forget_positions();
            was_live |= connection.is_live && connection.num_frames > 0;
            num_failed = if connection.num_frames > 0 { 0 } else { num_failed + 1 };
            let may_return = was_live && num_failed < self.plan.max_attempts;
            let then = match end {
                End::Complete | End::Failed(_) if may_return => {
                    let pause = Duration::from_secs(PAUSES_SECS[(num_failed as usize).min(PAUSES_SECS.len() - 1)]);
                    let reason =
                        if let End::Failed(unusable) = end { unusable.reason } else { "the stream ended".into() };
                    Then::Reconnect { reason, pause, attempt: num_failed + 1 }
                }
                End::Stopped | End::Complete => Then::End,
                End::Failed(unusable) => Then::Fail(unusable),
            };
            let pause = if let Then::Reconnect { pause, .. } = then { Some(pause) } else { None };
            let dropped = std::mem::take(&mut self.dropped);
            // An error means that the other side has failed, and says so itself.
            let is_heard = self.send.send(Message::ConnectionEnd { dropped, then }).is_ok();
            let Some(pause) = pause.filter(|_| is_heard && !self.stops_within(Duration::ZERO)) else { break };
            if self.stops_within(pause) {
                break;
            }
        }
        self.report.num_dropped_frames = self.drops.finish();
        Ok(self.report)
    }

    /// Receives one connection, and sends its windows.
    fn connect(&mut self, helpers: &Helpers<'_>, job: &[u8], connection: &mut Connection) -> Result<End, StageError> {
        self.report.num_connections += 1;
        let result = helpers.run_once(job, &mut |piece| self.take(connection, piece));
        let end = match result {
            Err(error) if error.is_cancelled() => End::Stopped,
            Err(error) => return Err(error),
            Ok(Err(failure)) => End::Failed(Unusable::of(failure)),
            Ok(Ok(outcome)) => match serde_json::from_slice(&outcome)? {
                Outcome::Ended(FrameSet { damage, .. }) => {
                    self.report.damage.extend((!damage.is_empty()).then_some(damage));
                    End::Complete
                }
                Outcome::Failed(verdict, reason) => End::Failed(Unusable { verdict, reason }),
            },
        };
        let (frames, offset) = (WindowFrames::new(self.plan.windows.windows), connection.offset_secs);
        for window in std::mem::replace(&mut connection.frames, frames).finish() {
            // Nothing follows, so there is time to wait.
            self.window(window, offset, false)?;
        }
        Ok(end)
    }

    fn take(&mut self, connection: &mut Connection, piece: &[u8]) -> Result<(), StageError> {
        if let [kind] = piece {
            connection.is_live |= *kind == LIVE;
            return Ok(());
        }
        let Some((frame, image)) = FrameHeader::split(piece) else { return Ok(()) };
        if connection.num_frames == 0 {
            let first = *self.first_frame.get_or_insert_with(Instant::now);
            connection.first_nanos = frame.pts_nanos;
            // A stream may be faster than the clock, but its times never go back.
            connection.offset_secs =
                if self.report.num_connections > 1 { first.elapsed().as_secs_f64().max(self.end_secs) } else { 0.0 };
        }
        let nanos = frame.pts_nanos.saturating_sub(connection.first_nanos);
        self.end_secs = connection.offset_secs + nanos as f64 / 1e9;
        connection.num_frames += 1;
        self.report.num_frames += 1;
        for window in connection.frames.add(frame.pts_nanos, (frame, image.into())) {
            self.window(window, connection.offset_secs, connection.is_live)?;
        }
        Ok(())
    }

    /// Sends a window, or drops it if too many wait and `may_drop`.
    fn window(&mut self, mut window: Window<Frame>, offset_secs: f64, may_drop: bool) -> Result<(), StageError> {
        window.start_secs += offset_secs;
        window.end_secs += offset_secs;
        self.report.num_windows += 1;
        let positions: Vec<u32> = window.frames.iter().map(|(frame, _)| frame.index).collect();
        let (start_secs, end_secs) = (window.start_secs, window.end_secs);
        let dropped = std::mem::take(&mut self.dropped);
        let message = Message::Window { window, completed: Instant::now(), dropped };
        let unsent = if may_drop {
            match self.send.try_send(message) {
                Ok(()) => None,
                Err(TrySendError::Full(message)) => Some(message),
                Err(TrySendError::Disconnected(_)) => return Err(StageError::cancelled()),
            }
        } else {
            self.send.send(message).map_err(|_| StageError::cancelled())?;
            None
        };
        self.drops.add(&positions, unsent.is_some());
        if let Some(Message::Window { mut dropped, .. }) = unsent {
            dropped.push(Dropped { start_secs, end_secs });
            self.dropped = dropped;
            self.report.num_dropped_windows += 1;
        }
        Ok(())
    }

    /// Waits, and returns whether the user stops the command in this time.
    fn stops_within(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        loop {
            if self.context.check_cancelled().is_err() {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(STOP_INTERVAL));
        }
    }
}

/// Counts the frames of dropped windows that no other window shows. Windows overlap, and come in the order of their starts.
#[derive(Debug, Default)]
struct Drops {
    /// Frames of dropped windows that a later window may show.
    open: Vec<u32>,
    /// Frames before this position are predicted, counted or open.
    next: u32,
    num_dropped: u64,
}

impl Drops {
    /// Adds the next window by the positions of its frames, ascending.
    fn add(&mut self, positions: &[u32], is_dropped: bool) {
        let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return };
        let num_open = self.open.len();
        self.open.retain(|position| position >= first);
        self.num_dropped += (num_open - self.open.len()) as u64;
        if is_dropped {
            self.open.extend(positions.iter().filter(|position| **position >= self.next));
        } else {
            self.open.clear();
        }
        self.next = last + 1;
    }

    /// The next window is of another connection.
    fn forget_positions(&mut self) {
        self.num_dropped += self.open.len() as u64;
        self.open.clear();
        self.next = 0;
    }

    fn finish(mut self) -> u64 {
        self.forget_positions();
        self.num_dropped
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_dropped_windows_are_counted_unless_another_window_shows_them() {
        let count = |windows: &[(std::ops::Range<u32>, bool)]| {
            let mut drops = Drops::default();
            for (positions, is_dropped) in windows {
                drops.add(&positions.clone().collect::<Vec<u32>>(), *is_dropped);
            }
            drops.finish()
        };
        assert_eq!(count(&[(0..4, false), (4..8, true), (8..12, false)]), 4);
        // Half of a window is in the one before, and half in the one after.
        assert_eq!(count(&[(0..4, false), (2..6, true), (4..8, false)]), 0);
        assert_eq!(count(&[(0..4, false), (2..6, true), (4..8, true), (6..10, false)]), 2);
        assert_eq!(count(&[(0..4, true), (2..6, true), (0..0, true)]), 6);
        // Gaps between windows belong to none.
        assert_eq!(count(&[(0..2, true), (5..7, true), (10..12, false)]), 4);
    }
}
