//! [`Classifier`]: from the clips of a video to its prediction.

use crate::{ExportedModel, PredictError};
use pipe_clips::{Batch, ClipError, ClipSize, normalise};
use pipe_infer::{Engine, Session, SessionOptions};
use pipe_metrics::average_views;
use pipe_schemas::tables::{PredictionRow, SampleRow};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A model on an engine.
#[derive(Debug)]
pub struct Classifier {
    model: Arc<ExportedModel>,
    session: Box<dyn Session>,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Classifier {
    /// Prepares a model.
    ///
    /// # Errors
    /// [`PredictError::Infer`] if the engine refuses it.
    pub fn new(model: Arc<ExportedModel>, engine: &dyn Engine, options: SessionOptions) -> Result<Self, PredictError> {
        let session = engine.open(&model.file, options)?;
        let to_f32 = |values: [f64; 3]| values.map(|value| value as f32);
        let (mean, std) = (to_f32(model.metadata.preprocessing.mean), to_f32(model.metadata.preprocessing.std));
        Ok(Self { model, session, mean, std })
    }

    /// Returns the model.
    pub fn model(&self) -> &Arc<ExportedModel> {
        &self.model
    }

    /// Returns the settings of the engine that affect the results.
    pub fn settings(&self) -> BTreeMap<&'static str, String> {
        self.session.settings()
    }

    /// Returns the logits of each clip of a batch, `[N, K]`.
    ///
    /// # Errors
    /// [`PredictError::Output`] if the network does not return logits of the labels.
    pub fn logits(&mut self, batch: &Batch) -> Result<Vec<Vec<f32>>, PredictError> {
        let ClipSize { frames, height, width } = self.model.clip_size;
        let (num_clips, num_classes) = (batch.num_clips, self.model.metadata.labels.len());
        let mut values = Vec::new();
        normalise(batch, self.model.clip_size, self.mean, self.std, &mut values);
        let shape = [num_clips, 3, frames, height, width];
        let (found, logits) = self.session.run(&self.model.file.input().name, shape, values)?;
        if found != [num_clips as i64, num_classes as i64] {
            return Err(PredictError::Output { num_clips, num_classes, found });
        }
        Ok(logits.chunks_exact(num_classes).map(<[f32]>::to_vec).collect())
    }

    /// Predicts the views in `rows`, whose pixels `[T, H, W, 3]` are `clips`, `batch_size` at a time, and averages them.
    ///
    /// # Errors
    /// [`PredictError`] if the network fails, or returns values that are not numbers.
    pub fn predict(
        &mut self,
        rows: &[SampleRow],
        clips: &[Vec<u8>],
        batch_size: usize,
    ) -> Result<PredictionRow, PredictError> {
        let mut logits = Vec::with_capacity(rows.len());
        for clips in clips.chunks(batch_size.max(1)) {
            let batch = Batch { pixels: clips.concat(), num_clips: clips.len(), ..Batch::default() };
            logits.extend(self.logits(&batch)?);
        }
        let metadata = &self.model.metadata;
        let averaged = average_views(rows, &logits, metadata.average_clips, metadata.labelling, &metadata.labels)?;
        averaged.into_iter().next().ok_or(PredictError::TooShort { num_frames: 0, min_frames: 1 })
    }
}

/// Runs a model on batches of clips and returns the logits of each clip, in order. `after_batch` is called with the number of clips
/// done; its error ends the work.
///
/// # Errors
/// The errors of the batches, of the model, and of `after_batch`.
pub fn logits_of_batches<E: From<PredictError> + From<ClipError>>(
    classifier: &mut Classifier,
    batches: impl Iterator<Item = Result<Batch, ClipError>>,
    mut after_batch: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<Vec<f32>>, E> {
    let mut logits = Vec::new();
    for batch in batches {
        let batch = batch?;
        logits.extend(classifier.logits(&batch)?);
        after_batch(batch.rows.end)?;
    }
    Ok(logits)
}
