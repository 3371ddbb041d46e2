//! [`predict_windows`]: predictions of the windows of a long video. Each frame is decoded once, and only the images of one window are in
//! memory.

use crate::reader::FrameHeader;
use crate::videos::{not_a_file, unsuitable, with_help};
use crate::{Unusable, VideoFile, VideoReader};
use pipe_clips::ClipDecoder;
use pipe_predict::alerts::{AlertEvent, AlertRule, Alerts};
use pipe_predict::windows::{Smoothing, Window, WindowFrames, Windows};
use pipe_predict::{Classifier, FrameSet, PredictError};
use pipe_schemas::tables::VideoPredictionRow;
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

/// A frame in a window.
pub(crate) type Frame = (FrameHeader, Arc<[u8]>);

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
/// verdict, and a video that can't be decoded to its end has one more row with the reason.
///
/// # Errors
/// If the request was cancelled, or the machine or the network failed, or a rule names a class that the network does not have.
pub fn predict_windows(
    reader: &VideoReader<'_>,
    classifier: &mut Classifier,
    video: &VideoFile,
    plan: &WindowPlan,
    batch_size: usize,
) -> Result<(Vec<VideoPredictionRow>, Vec<AlertEvent>), StageError> {
    let model = Arc::clone(classifier.model());
    let judge = Judge::new(plan, &model.metadata.labels)?;
    if let Some(Unusable { verdict, reason }) = not_a_file(&video.path) {
        return Ok((vec![VideoPredictionRow::without(&video.id, verdict, reason)], Vec::new()));
    }
    let shared = RefCell::new((classifier, ClipDecoder::new().map_err(PredictError::from)?));
    let predict = |window: Window<Frame>| {
        let (classifier, decoder) = &mut *shared.borrow_mut();
        predict_window(classifier, decoder, &video.id, &window, batch_size)
    };
    let new = || Progress {
        frames: WindowFrames::new(plan.windows),
        judge: judge.clone(),
        rows: Vec::new(),
        events: Vec::new(),
    };
    let labels = &model.metadata.labels;
    let (progress, read) = reader.run(&video.path, None, new, |progress: &mut Progress, frame, image| {
        for window in progress.frames.add(frame.pts_nanos, (frame, image.into())) {
            let (row, events) = progress.judge.judge(predict(window)?, labels);
            progress.rows.push(row);
            progress.events.extend(events);
        }
        Ok(())
    })?;
    let Progress { frames, mut judge, mut rows, mut events } = progress;
    for window in frames.finish() {
        let (row, ended) = judge.judge(predict(window)?, labels);
        rows.push(row);
        events.extend(ended);
    }
    events.extend(judge.finish());
    match read {
        Ok(FrameSet { damage, .. }) if damage.is_empty() => {}
        Ok(FrameSet { damage, .. }) => {
            for row in rows.iter_mut().filter(|row| row.predicted_index.is_some()) {
                (row.verdict, row.reason) = (pipe_schemas::tables::Verdict::Damaged, damage.clone());
            }
        }
        Err(Unusable { verdict, reason }) => rows.push(VideoPredictionRow::without(&video.id, verdict, reason)),
    }
    Ok((rows, events))
}

impl Judge {
    pub(crate) fn new(plan: &WindowPlan, labels: &[String]) -> Result<Self, StageError> {
        let alerts = Alerts::new(&plan.rules, labels).map_err(|class| {
            StageError::message(format!("the network has no class `{class}`"))
                .with_help("see the key `labels` of the metadata of the file")
        })?;
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
    classifier: &mut Classifier,
    decoder: &mut ClipDecoder,
    video_id: &str,
    window: &Window<Frame>,
    batch_size: usize,
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
    let model = Arc::clone(classifier.model());
    let views = model.views(video_id, &set, 0..set.num_frames, Some(times)).and_then(|rows| {
        let image = |index: u32| frames.get(index as usize).map(|(_, image)| image.as_ref());
        Ok((model.clips(decoder, &rows, &set, image)?, rows))
    });
    match views {
        Ok((clips, rows)) => {
            let prediction = classifier.predict(&rows, &clips, batch_size).map_err(with_help)?;
            Ok(VideoPredictionRow::of(prediction, ""))
        }
        Err(error) => without(error),
    }
}

/// Returns the average rate of the frames of a window; 0 if it is unknown.
fn rate(num_frames: usize, nanos: i64) -> f64 {
    if nanos > 0 { (num_frames - 1) as f64 * 1e9 / nanos as f64 } else { 0.0 }
}
