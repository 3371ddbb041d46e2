//! [`Receiver`]: the connections of a stream, and the windows of its frames.

use super::{Dropped, LIVE, Message, Outcome, STREAM_JOB, StreamPlan, Task, Then};
use crate::reader::{FrameHeader, Unusable};
use crate::windows::Frame;
use pipe_predict::FrameSet;
use pipe_predict::windows::{Window, WindowFrames};
use pipe_stage::protocol::predict::StreamReport;
use pipe_stage::{Context, Helpers, StageError};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

/// Address space of the helper, in MiB.
const MEMORY_MB: u64 = 2048;

/// Pauses before the attempts to connect again, in seconds; the last one repeats.
const PAUSES_SECS: [u64; 5] = [1, 2, 4, 8, 16];

/// Time between two checks whether the user has stopped the command.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// Receives frames, and sends windows.
pub(super) struct Receiver<'a> {
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
    pub(super) fn new(context: &'a Context, plan: &'a StreamPlan, send: SyncSender<Message>) -> Self {
        let (report, drops) = (StreamReport::default(), Drops::default());
        Self { context, plan, send, report, drops, dropped: Vec::new(), first_frame: None, end_secs: 0.0 }
    }

    /// Connects, and connects again, until the stream ends, attempts fail, or the user stops.
    pub(super) fn receive(mut self, task: &Task) -> Result<StreamReport, StageError> {
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
