//! [`Predict`]: the stage itself.

use crate::videos::with_help;
use crate::{VideoFile, VideoReader, open_classifiers, predict_videos};
use pipe_infer::{Libraries, SessionOptions, load};
use pipe_predict::ExportedModel;
use pipe_schemas::stages::predict::{CONTRACT, PredictParams};
use pipe_schemas::tables::{Verdict, VideoPredictionRow, VideoRow};
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_tables::{read_rows, write_rows};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The stage `predict`.
pub struct Predict {
    /// Where the engines are.
    pub libraries: Libraries,
}

impl Stage for Predict {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: PredictParams = context.params()?;
        let model = Arc::new(ExportedModel::open(context.input("exported")?).map_err(with_help)?);
        let engine = load(params.engine, &self.libraries).map_err(|error| with_help(error.into()))?;
        let options =
            SessionOptions { threads: context.threads(), provider: params.provider, precision: params.precision };
        let videos: Vec<VideoRow> = read_rows(context.input("videos")?)?;
        let root = context.media_root("videos")?;
        let (usable, unusable): (Vec<_>, Vec<_>) = videos.into_iter().partition(|video| video.verdict.is_usable());
        let files: Vec<VideoFile> =
            usable.into_iter().map(|video| VideoFile { path: root.join(&video.path), id: video.video_id }).collect();
        let batch_size = params.batch_size as usize;
        let mut classifiers = open_classifiers(&model, engine.as_ref(), options, batch_size, files.len())?;
        let mut rows: Vec<VideoPredictionRow> = unusable
            .into_iter()
            .map(|video| VideoPredictionRow::without(&video.video_id, video.verdict, video.reason))
            .collect();
        let reader = VideoReader::new(context, model.metadata.stored_frames, params.limits);
        let total = files.len() as u64;
        let mut done = 0;
        predict_videos(context, &reader, &mut classifiers, &files, batch_size, |row| {
            rows.push(row);
            done += 1;
            context.progress(done, total, "videos");
            Ok(())
        })?;
        rows.sort_by(|a, b| a.video_id.cmp(&b.video_id));
        write_rows(&context.output(CONTRACT.outputs[0].path)?, &rows)?;
        Ok(Summary::line(summary(&rows, &engine.title_in(params.precision))))
    }
}

/// Returns the numbers of videos by verdict, such as `12 of 14 videos predicted with onnxruntime 1.31.1, 2 truncated`.
fn summary(rows: &[VideoPredictionRow], engine: &str) -> String {
    let num_predicted = rows.iter().filter(|row| row.predicted_index.is_some()).count();
    let mut without: BTreeMap<Verdict, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.predicted_index.is_none()) {
        *without.entry(row.verdict).or_default() += 1;
    }
    let mut text = format!("{num_predicted} of {} videos predicted with {engine}", rows.len());
    for (verdict, count) in without {
        text += &format!(", {count} {}", verdict.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn videos_without_prediction_are_counted_by_verdict() {
        let without = |verdict| VideoPredictionRow::without("a", verdict, String::new());
        let predicted = VideoPredictionRow { predicted_index: Some(0), ..without(Verdict::Ok) };
        let rows = [predicted, without(Verdict::Truncated), without(Verdict::Unreadable), without(Verdict::Truncated)];
        let expect = "1 of 4 videos predicted with e 1, 2 truncated, 1 unreadable";
        assert_eq!(summary(&rows, "e 1"), expect);
    }
}
