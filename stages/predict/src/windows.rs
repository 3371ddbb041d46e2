//! [`predict_windows`]: predictions of the windows of a long video. Each frame is decoded once, and only the images of one window are in
//! memory.

use crate::reader::FrameHeader;
use crate::videos::{not_a_file, row_of_prediction, unsuitable, with_help};
use crate::{PredictStageError, Unusable, VideoFile, VideoReader};
use pipe_clips::ClipDecoder;
use pipe_predict::alerts::{AlertEvent, AlertRule, Alerts};
use pipe_predict::windows::{Smoothing, Window, WindowFrames, Windows};
use pipe_predict::{ExportedModel, FrameSet, PredictError};
use pipe_schemas::tables::{PredictionRow, SampleRow, Verdict, VideoPredictionRow};
use pipe_stage::StageError;
use std::cell::RefCell;
use std::sync::Arc;

/// What is predicted of a long video.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowPlan {
    /// The windows.
    pub windows: Windows,
    /// Number of windows whose probabilities are averaged; 1 for no smoothing.
    pub smoothing: usize,
    /// Which predictions are events.
    pub rules: Vec<AlertRule>,
}

impl WindowPlan {
    /// Checks that a network with these class names has the classes of the rules.
    ///
    /// # Errors
    /// [`PredictError::UnknownClass`] otherwise.
    pub fn check_classes(&self, labels: &[String]) -> Result<(), PredictError> {
        Alerts::new(&self.rules, labels).map(drop)
    }
}

/// A frame in a window.
pub(crate) type Frame = (FrameHeader, Arc<[u8]>);

/// Runs the network on the views of a window, which are rows and pixels as `Classifier::predict` takes them.
pub(crate) type Classify<'a> = &'a mut dyn FnMut(&[SampleRow], &[Vec<u8>]) -> Result<PredictionRow, StageError>;

/// What is found in the windows of a video.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowItem {
    /// The prediction of a window, or why there is none.
    Row(VideoPredictionRow),
    /// An event that has ended.
    Event(AlertEvent),
}

/// What was made of a video so far. It starts again if the helper does.
struct Progress {
    frames: WindowFrames<Frame>,
    judge: Judge,
    num_rows: usize,
    num_events: usize,
}

/// What stays when the helper starts again.
struct Shared<'a> {
    decoder: ClipDecoder,
    classify: Classify<'a>,
    on_item: &'a mut dyn FnMut(WindowItem) -> Result<(), StageError>,
    /// Number of rows and events that were passed on. They are not passed on again.
    num_rows: usize,
    num_events: usize,
}

/// Smooths the predictions of windows in their order, and finds the events in them.
#[derive(Clone)]
pub(crate) struct Judge {
    smoothing: Smoothing,
    count: usize,
    alerts: Alerts,
}

/// Predicts the windows of a video, and passes a row for each to `on_item`, and each event after the row of the window that ends it. A
/// window that can't be predicted has a row with its verdict. A video that is damaged, or can't be decoded to its end, has one more row
/// without times for the reason, because that is known only at the end. `classify` runs the network on the views of one window, so that a
/// caller can share it with others in the meantime.
///
/// # Errors
/// If the request was cancelled or the reader given up, the machine or the network failed, a rule names a class that the network does not
/// have, there are more than `max_windows` windows, or `on_item` returns an error.
pub fn predict_windows(
    reader: &VideoReader<'_>,
    model: &ExportedModel,
    video: &VideoFile,
    plan: &WindowPlan,
    max_windows: usize,
    mut classify: impl FnMut(&[SampleRow], &[Vec<u8>]) -> Result<PredictionRow, StageError>,
    mut on_item: impl FnMut(WindowItem) -> Result<(), StageError>,
) -> Result<(), StageError> {
    let labels = &model.metadata.labels;
    let judge = Judge::new(plan, labels)?;
    if let Some(Unusable { verdict, reason }) = not_a_file(&video.path) {
        return on_item(WindowItem::Row(VideoPredictionRow::without(&video.id, verdict, reason)));
    }
    let decoder = ClipDecoder::new().map_err(PredictError::from)?;
    let shared =
        RefCell::new(Shared { decoder, classify: &mut classify, on_item: &mut on_item, num_rows: 0, num_events: 0 });
    let predict = |progress: &mut Progress, window: Window<Frame>| {
        reader.check_given_up()?;
        if progress.num_rows == max_windows {
            return Err(PredictStageError::TooManyWindows { max_windows }.into());
        }
        let shared = &mut *shared.borrow_mut();
        let row = predict_window(model, shared.classify, &mut shared.decoder, &video.id, &window)?;
        let (row, events) = progress.judge.judge(row, labels);
        shared.pass(progress, Some(row), events)
    };
    let new = || Progress { frames: WindowFrames::new(plan.windows), judge: judge.clone(), num_rows: 0, num_events: 0 };
    let (mut progress, read) = reader.run(&video.path, None, new, |progress: &mut Progress, frame, image| {
        let windows = progress.frames.add(frame.pts_nanos, (frame, image.into()));
        windows.into_iter().try_for_each(|window| predict(progress, window))
    })?;
    let frames = std::mem::replace(&mut progress.frames, WindowFrames::new(plan.windows));
    frames.finish().into_iter().try_for_each(|window| predict(&mut progress, window))?;
    let events = progress.judge.clone().finish();
    shared.into_inner().pass(&mut progress, None, events)?;
    let reason = match read {
        Ok(FrameSet { damage, .. }) if damage.is_empty() => return Ok(()),
        Ok(FrameSet { damage, .. }) => Unusable { verdict: Verdict::Damaged, reason: damage },
        Err(unusable) => unusable,
    };
    on_item(WindowItem::Row(VideoPredictionRow::without(&video.id, reason.verdict, reason.reason)))
}

impl Shared<'_> {
    /// Passes on the next row and the next events, unless they were before the helper started again.
    fn pass(
        &mut self,
        progress: &mut Progress,
        row: Option<VideoPredictionRow>,
        events: Vec<AlertEvent>,
    ) -> Result<(), StageError> {
        if let Some(row) = row {
            progress.num_rows += 1;
            if progress.num_rows > self.num_rows {
                self.num_rows = progress.num_rows;
                (self.on_item)(WindowItem::Row(row))?;
            }
        }
        for event in events {
            progress.num_events += 1;
            if progress.num_events > self.num_events {
                self.num_events = progress.num_events;
                (self.on_item)(WindowItem::Event(event))?;
            }
        }
        Ok(())
    }
}

impl Judge {
    pub(crate) fn new(plan: &WindowPlan, labels: &[String]) -> Result<Self, StageError> {
        let alerts = Alerts::new(&plan.rules, labels).map_err(with_help)?;
        Ok(Self { smoothing: Smoothing::new(plan.smoothing), count: plan.smoothing, alerts })
    }

    /// Returns the prediction of the next window after smoothing, and the events that end before it.
    pub(crate) fn judge(
        &mut self,
        mut row: VideoPredictionRow,
        labels: &[String],
    ) -> (VideoPredictionRow, Vec<AlertEvent>) {
        let Some(times) = row.start_secs.zip(row.end_secs) else { return (row, Vec::new()) };
        if row.predicted_index.is_none() {
            self.smoothing = Smoothing::new(self.count);
            return (row, self.alerts.add(times, None));
        }
        row.probabilities = self.smoothing.add(std::mem::take(&mut row.probabilities));
        let highest = row.top(1).first().map(|(class, _)| *class);
        row.predicted_index = highest;
        row.predicted_name = highest.and_then(|class| labels.get(class as usize)).cloned().unwrap_or_default();
        let events = self.alerts.add(times, Some(&row.probabilities));
        (row, events)
    }

    /// Returns the events that last until the end.
    pub(crate) fn finish(self) -> Vec<AlertEvent> {
        self.alerts.finish()
    }
}

pub(crate) fn predict_window(
    model: &ExportedModel,
    classify: Classify<'_>,
    decoder: &mut ClipDecoder,
    video_id: &str,
    window: &Window<Frame>,
) -> Result<VideoPredictionRow, StageError> {
    let times = (window.start_secs, window.end_secs);
    let frames = &window.frames;
    let timed = |row| VideoPredictionRow { start_secs: Some(times.0), end_secs: Some(times.1), ..row };
    let without = |error| {
        let Unusable { verdict, reason } = unsuitable(with_help(error))?;
        Ok(timed(VideoPredictionRow::without(video_id, verdict, reason)))
    };
    let Some((first, last)) = frames.first().zip(frames.last()).map(|(first, last)| (first.0, last.0)) else {
        return without(PredictError::TooShort { num_frames: 0, min_frames: 1 });
    };
    let set = FrameSet {
        num_frames: frames.len() as u32,
        width_px: first.width_px,
        height_px: first.height_px,
        fps: rate(frames.len(), last.pts_nanos - first.pts_nanos),
        damage: String::new(),
    };
    let views = model.views(video_id, &set, 0..set.num_frames, Some(times)).and_then(|rows| {
        let image = |index: u32| frames.get(index as usize).map(|(_, image)| image.as_ref());
        Ok((model.clips(decoder, &rows, &set, image)?, rows))
    });
    match views {
        Ok((clips, rows)) => row_of_prediction(video_id, classify(&rows, &clips), "").map(timed),
        Err(error) => without(error),
    }
}

/// Returns the average rate of the frames of a window; 0 if it is unknown.
fn rate(num_frames: usize, nanos: i64) -> f64 {
    if nanos > 0 { (num_frames - 1) as f64 * 1e9 / nanos as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_events_are_passed_on_once_if_the_helper_starts_again() {
        let mut passed = Vec::new();
        let mut on_item = |item: WindowItem| {
            passed.push(match item {
                WindowItem::Row(row) => row.video_id,
                WindowItem::Event(event) => event.class,
            });
            Ok(())
        };
        let mut shared = Shared {
            decoder: ClipDecoder::new().expect("a decoder"),
            classify: &mut |_, _| unreachable!("nothing is predicted"),
            on_item: &mut on_item,
            num_rows: 0,
            num_events: 0,
        };
        let plan =
            WindowPlan { windows: Windows { length_secs: 1.0, stride_secs: 1.0 }, smoothing: 1, rules: Vec::new() };
        let row = |name: &str| Some(VideoPredictionRow::without(name, Verdict::Unsuitable, String::new()));
        let event = |class: &str| AlertEvent {
            class: class.to_owned(),
            start_secs: 0.0,
            end_secs: 1.0,
            max_probability: 1.0,
            num_windows: 1,
        };
        for items in [
            // The first attempt ends within an event, the second one before that.
            vec![(row("1"), vec![]), (row("2"), vec![event("a")]), (row("3"), vec![])],
            vec![(row("1"), vec![]), (row("2"), vec![event("a")]), (None, vec![event("b")])],
            vec![(row("1"), vec![]), (row("2"), vec![]), (row("3"), vec![]), (row("4"), vec![])],
        ] {
            let judge = Judge::new(&plan, &[]).expect("no rules");
            let mut progress = Progress { frames: WindowFrames::new(plan.windows), judge, num_rows: 0, num_events: 0 };
            for (row, events) in items {
                shared.pass(&mut progress, row, events).expect("passed on");
            }
        }
        assert_eq!(passed, ["1", "2", "a", "3", "b", "4"]);
    }
}
