//! [`predict_videos`]: predictions of many videos, decoded by several threads while the network runs.

use crate::{PredictStageError, Unusable, VideoReader};
use pipe_clips::ClipDecoder;
use pipe_predict::{Classifier, ExportedModel, PredictError};
use pipe_schemas::tables::{PredictionRow, SampleRow, Verdict, VideoPredictionRow};
use pipe_stage::{Context, StageError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

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
///
/// # Errors
/// If the request was cancelled, the machine or the network failed, or `on_row` returns an error.
pub fn predict_videos(
    context: &Context,
    reader: &VideoReader<'_>,
    classifier: &mut Classifier,
    videos: &[VideoFile],
    batch_size: usize,
    mut on_row: impl FnMut(VideoPredictionRow) -> Result<(), StageError>,
) -> Result<(), StageError> {
    let num_threads = context.threads().min(videos.len()).max(1);
    let (send, prepared) = sync_channel(num_threads);
    let (next, model) = (AtomicUsize::new(0), std::sync::Arc::clone(classifier.model()));
    std::thread::scope(|scope| {
        for _ in 0..num_threads {
            let (send, next, model) = (send.clone(), &next, &model);
            let work = move || {
                let mut decoder = ClipDecoder::new().map_err(PredictError::from).map_err(StageError::from);
                loop {
                    let position = next.fetch_add(1, Ordering::Relaxed);
                    let Some(video) = videos.get(position) else { return };
                    let made = match &mut decoder {
                        Ok(decoder) => prepare(reader, model, decoder, video),
                        Err(error) => Err(std::mem::replace(error, PredictStageError::Panicked.into())),
                    };
                    if send.send((position, made)).is_err() {
                        return;
                    }
                }
            };
            std::thread::Builder::new().name("decode".into()).spawn_scoped(scope, work)?;
        }
        drop(send);
        let (mut waiting, mut num_done) = (BTreeMap::new(), 0);
        // Moved, so that the threads notice when this ends early.
        for (position, made) in prepared {
            let video = &videos[position];
            let row = match made? {
                Ok(prepared) => row_of(classifier, &prepared, batch_size)?,
                Err(Unusable { verdict, reason }) => VideoPredictionRow::without(&video.id, verdict, reason),
            };
            waiting.insert(position, row);
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
    let mut decoder = ClipDecoder::new().map_err(PredictError::from)?;
    match prepare(reader, model, &mut decoder, video)? {
        Ok(Prepared { rows, clips, damage }) => Ok(VideoPredictionRow::of(classify(&rows, &clips)?, &damage)),
        Err(Unusable { verdict, reason }) => Ok(VideoPredictionRow::without(&video.id, verdict, reason)),
    }
}

fn row_of(
    classifier: &mut Classifier,
    prepared: &Prepared,
    batch_size: usize,
) -> Result<VideoPredictionRow, StageError> {
    let prediction = classifier.predict(&prepared.rows, &prepared.clips, batch_size).map_err(with_help)?;
    Ok(VideoPredictionRow::of(prediction, &prepared.damage))
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
        Err(error) => unsuitable(error).map(Err),
    }
}

/// Returns the verdict on a video of which no view can be made; passes on an error that other videos would have too.
pub(crate) fn unsuitable(error: PredictError) -> Result<Unusable, StageError> {
    if error.is_of_video() {
        let reason = StageError::from(error).chain().join(": ");
        return Ok(Unusable { verdict: Verdict::Unsuitable, reason });
    }
    Err(with_help(error))
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
