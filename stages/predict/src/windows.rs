//! [`predict_windows`]: predictions of the windows of a long video. Each frame is decoded once, and only the images of one window are in
//! memory.

use crate::reader::FrameHeader;
use crate::videos::{not_a_file, unsuitable, with_help};
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

/// What was made of a video so far.
struct Progress {
    frames: WindowFrames<Frame>,
    judge: Judge,
    rows: Vec<VideoPredictionRow>,
    events: Vec<AlertEvent>,
}

/// Smooths the predictions of windows in their order, and finds the events in them.
#[derive(Clone)]
pub(crate) struct Judge {
    smoothing: Smoothing,
    count: usize,
    alerts: Alerts,
}

/// Predicts the windows of a video, and returns a row for each, and the events. A window that can't be predicted has a row with its
/// verdict, and a video that can't be decoded to its end has one more row with the reason. `classify` runs the network on the views of one
/// window, so that a caller can share it with others in the meantime.
///
/// # Errors
/// If the request was cancelled or the reader given up, the machine or the network failed, a rule names a class that the network does not
/// have, or there are more than `max_windows` windows.
pub fn predict_windows(
    reader: &VideoReader<'_>,
    model: &ExportedModel,
    video: &VideoFile,
    plan: &WindowPlan,
    max_windows: usize,
    mut classify: impl FnMut(&[SampleRow], &[Vec<u8>]) -> Result<PredictionRow, StageError>,
) -> Result<(Vec<VideoPredictionRow>, Vec<AlertEvent>), StageError> {
    let labels = &model.metadata.labels;
    let judge = Judge::new(plan, labels)?;
    if let Some(Unusable { verdict, reason }) = not_a_file(&video.path) {
        return Ok((vec![VideoPredictionRow::without(&video.id, verdict, reason)], Vec::new()));
    }
    let decoder = ClipDecoder::new().map_err(PredictError::from)?;
    let shared = RefCell::new((decoder, &mut classify as Classify<'_>));
    let predict = |progress: &mut Progress, window: Window<Frame>| {
        reader.check_given_up()?;
        if progress.rows.len() == max_windows {
            return Err(PredictStageError::TooManyWindows { max_windows }.into());
        }
        let (decoder, classify) = &mut *shared.borrow_mut();
        let row = predict_window(model, &mut **classify, decoder, &video.id, &window)?;
        progress.add(row, labels);
        Ok(())
    };
    let new = || Progress {
        frames: WindowFrames::new(plan.windows),
        judge: judge.clone(),
        rows: Vec::new(),
        events: Vec::new(),
    };
    let (mut progress, read) = reader.run(&video.path, None, new, |progress: &mut Progress, frame, image| {
        let windows = progress.frames.add(frame.pts_nanos, (frame, image.into()));
        windows.into_iter().try_for_each(|window| predict(progress, window))
    })?;
    let frames = std::mem::replace(&mut progress.frames, WindowFrames::new(plan.windows));
    frames.finish().into_iter().try_for_each(|window| predict(&mut progress, window))?;
    let Progress { judge, mut rows, mut events, .. } = progress;
    events.extend(judge.finish());
    match read {
        Ok(FrameSet { damage, .. }) if damage.is_empty() => {}
        Ok(FrameSet { damage, .. }) => {
            for row in rows.iter_mut().filter(|row| row.predicted_index.is_some()) {
                (row.verdict, row.reason) = (Verdict::Damaged, damage.clone());
            }
        }
        Err(Unusable { verdict, reason }) => rows.push(VideoPredictionRow::without(&video.id, verdict, reason)),
    }
    Ok((rows, events))
}

impl Progress {
    /// Adds the next window, and the events that end before it.
    fn add(&mut self, row: VideoPredictionRow, labels: &[String]) {
        let (row, events) = self.judge.judge(row, labels);
        self.rows.push(row);
        self.events.extend(events);
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
    let without = |error| {
        let Unusable { verdict, reason } = unsuitable(error)?;
        let row = VideoPredictionRow::without(video_id, verdict, reason);
        Ok(VideoPredictionRow { start_secs: Some(times.0), end_secs: Some(times.1), ..row })
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
        Ok((clips, rows)) => Ok(VideoPredictionRow::of(classify(&rows, &clips)?, "")),
        Err(error) => without(error),
    }
}

/// Returns the average rate of the frames of a window; 0 if it is unknown.
fn rate(num_frames: usize, nanos: i64) -> f64 {
    if nanos > 0 { (num_frames - 1) as f64 * 1e9 / nanos as f64 } else { 0.0 }
}
