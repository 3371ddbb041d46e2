//! [`predict_videos`]: predictions of many videos, by several threads.

use crate::{PredictStageError, Unusable, VideoReader};
use pipe_clips::ClipDecoder;
use pipe_predict::{Classifier, ExportedModel, PredictError};
use pipe_schemas::tables::{PredictionRow, SampleRow, Verdict, VideoPredictionRow};
use pipe_stage::{Context, StageError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

/// A video to predict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFile {
    /// Its name in the result.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
}

/// A video whose views are ready for the network.
struct Prepared {
    rows: Vec<SampleRow>,
    clips: Vec<Vec<u8>>,
    damage: String,
}

/// Predicts videos, and passes each row to `on_row` in the order of `videos`. A video that can't be used has a row with its verdict.
/// Each thread decodes a video and runs a network on it; `classifiers` are copies of one network, which compute at the same time.
///
/// # Errors
/// If the request was cancelled, the machine or the network failed, or `on_row` returns an error.
///
/// # Panics
/// If there is no classifier.
pub fn predict_videos(
    context: &Context,
    reader: &VideoReader<'_>,
    classifiers: &mut [Classifier],
    videos: &[VideoFile],
    batch_size: usize,
    mut on_row: impl FnMut(VideoPredictionRow) -> Result<(), StageError>,
) -> Result<(), StageError> {
    let num_threads = context.threads().min(videos.len()).max(1);
    let model = Arc::clone(classifiers[0].model());
    let classifiers: Vec<Mutex<&mut Classifier>> = classifiers.iter_mut().map(Mutex::new).collect();
    let (send, rows) = sync_channel(num_threads);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for index in 0..num_threads {
            let (send, next, model, classifier) =
                (send.clone(), &next, &model, &classifiers[index % classifiers.len()]);
            let classify = |rows: &[SampleRow], clips: &[Vec<u8>]| {
                let mut classifier = classifier.lock().unwrap_or_else(PoisonError::into_inner);
                context.check_cancelled()?;
                classifier.predict(rows, clips, batch_size).map_err(with_help)
            };
            let work = move || {
                let mut decoder = ClipDecoder::new().map_err(PredictError::from).map_err(StageError::from);
                loop {
                    let position = next.fetch_add(1, Ordering::Relaxed);
                    let Some(video) = videos.get(position) else { return };
                    let row = match &mut decoder {
                        Ok(decoder) => row_of(reader, model, decoder, video, classify),
                        Err(error) => Err(std::mem::replace(error, PredictStageError::Panicked.into())),
                    };
                    if send.send((position, row)).is_err() {
                        return;
                    }
                }
            };
            std::thread::Builder::new().name("predict".into()).spawn_scoped(scope, work)?;
        }
        drop(send);
        let (mut waiting, mut num_done) = (BTreeMap::new(), 0);
        // Moved, so that the threads notice when this ends early.
        for (position, row) in rows {
            waiting.insert(position, row?);
            while let Some(row) = waiting.remove(&num_done) {
                on_row(row)?;
                num_done += 1;
            }
            context.check_cancelled()?;
        }
        // Every video that a thread took has sent something, unless the thread panicked.
        if num_done == videos.len() { Ok(()) } else { Err(PredictStageError::Panicked.into()) }
    })
}

/// Predicts a video. `classify` runs the network on its views, which are rows and pixels as [`Classifier::predict`] takes them. A video that
/// can't be used has a row with its verdict.
///
/// # Errors
/// If the reader was given up, or the machine or the network failed.
pub fn predict_one(
    reader: &VideoReader<'_>,
    model: &ExportedModel,
    video: &VideoFile,
    classify: impl FnOnce(&[SampleRow], &[Vec<u8>]) -> Result<PredictionRow, StageError>,
) -> Result<VideoPredictionRow, StageError> {
    row_of(reader, model, &mut ClipDecoder::new().map_err(PredictError::from)?, video, classify)
}

fn row_of(
    reader: &VideoReader<'_>,
    model: &ExportedModel,
    decoder: &mut ClipDecoder,
    video: &VideoFile,
    classify: impl FnOnce(&[SampleRow], &[Vec<u8>]) -> Result<PredictionRow, StageError>,
) -> Result<VideoPredictionRow, StageError> {
    match prepare(reader, model, decoder, video)? {
        Ok(Prepared { rows, clips, damage }) => row_of_prediction(&video.id, classify(&rows, &clips), &damage),
        Err(Unusable { verdict, reason }) => Ok(VideoPredictionRow::without(&video.id, verdict, reason)),
    }
}

/// Returns the row for the result of the network. An error that concerns this video only becomes a row with a verdict.
///
/// # Errors
/// Any other error.
pub(crate) fn row_of_prediction(
    video_id: &str,
    predicted: Result<PredictionRow, StageError>,
    damage: &str,
) -> Result<VideoPredictionRow, StageError> {
    match predicted {
        Ok(prediction) => Ok(VideoPredictionRow::of(prediction, damage)),
        Err(error) => {
            let Unusable { verdict, reason } = unsuitable(error)?;
            Ok(VideoPredictionRow::without(video_id, verdict, reason))
        }
    }
}

/// Decodes a video and makes its views.
fn prepare(
    reader: &VideoReader<'_>,
    model: &ExportedModel,
    decoder: &mut ClipDecoder,
    video: &VideoFile,
) -> Result<Result<Prepared, Unusable>, StageError> {
    if let Some(unusable) = not_a_file(&video.path) {
        return Ok(Err(unusable));
    }
    let read = match reader.read(&video.path, &model.metadata.preprocessing.test.sampler)? {
        Ok(read) => read,
        Err(unusable) => return Ok(Err(unusable)),
    };
    let all = 0..read.frames.num_frames;
    let views = model.views(&video.id, &read.frames, all, None).and_then(|rows| {
        let image = |index| read.images.get(&index).map(Vec::as_slice);
        let clips = model.clips(decoder, &rows, &read.frames, image)?;
        Ok(Prepared { rows, clips, damage: read.frames.damage.clone() })
    });
    match views {
        Ok(prepared) => Ok(Ok(prepared)),
        Err(error) => unsuitable(with_help(error)).map(Err),
    }
}

/// Returns the verdict on a video that has no prediction; passes on an error that other videos would have too.
pub(crate) fn unsuitable(error: StageError) -> Result<Unusable, StageError> {
    if error.downcast_ref().is_some_and(PredictError::is_of_video) {
        return Ok(Unusable { verdict: Verdict::Unsuitable, reason: error.chain().join(": ") });
    }
    Err(error)
}

pub(crate) fn with_help(error: PredictError) -> StageError {
    let help = error.help();
    StageError::from(error).with_optional_help(help.as_deref())
}

/// Returns the verdict on a path that is not a file. A pipe could block its reader for ever.
pub(crate) fn not_a_file(path: &Path) -> Option<Unusable> {
    let reason = match path.metadata() {
        Ok(metadata) if metadata.is_file() => return None,
        Ok(_) => "it is not a file".to_owned(),
        Err(error) => format!("it can't be opened: {error}"),
    };
    Some(Unusable { verdict: Verdict::Unreadable, reason })
}
