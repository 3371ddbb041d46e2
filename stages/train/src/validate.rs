//! When and how the network is evaluated during training.

use crate::error::LOWER_RATE;
use crate::samples::Samples;
use crate::start::graph_for;
use pipe_clips::Loader;
use pipe_learn::{Network, Normalisation, predict_clips};
use pipe_metrics::{MetricsError, average_views, measure};
use pipe_schemas::stages::evaluate::Figures;
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::{PredictionRow, SampleRow};
use pipe_stage::{Context, StageError};
use std::sync::Arc;

/// Returns whether the test samples are evaluated after `epochs_done` epochs, however many follow.
pub(crate) fn validates(params: &TrainParams, samples: &Samples, epochs_done: u32) -> bool {
    params.train_cfg.validates_after(epochs_done) && samples.num_test_views > 0
}

/// Returns whether the test samples are evaluated after the last epoch although the interval does not ask for it, as `MMEngine`
/// does.
pub(crate) fn validates_at_the_end(params: &TrainParams, samples: &Samples, num_epochs: u32) -> bool {
    let switched_on = params.train_cfg.validates_at_the_end(num_epochs) && samples.num_test_views > 0;
    switched_on && !validates(params, samples, num_epochs)
}

/// The results of the test samples.
pub(crate) struct Validation {
    pub(crate) figures: Figures,
    pub(crate) predictions: Vec<PredictionRow>,
    pub(crate) views: Arc<[SampleRow]>,
}

/// Evaluates the test samples.
pub(crate) fn validate(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
    loader: &Loader,
    network: &Network,
) -> Result<Validation, StageError> {
    let test_frames = samples.preprocessing.test_frames;
    let clip_size = samples.clip_size(test_frames);
    let batch_size = params.train_dataloader.batch_size as usize;
    let views = samples.test()?;
    let batches = loader.clips(Arc::clone(&views), clip_size, batch_size, context.threads())?;
    let network = network.with_graph(graph_for(context, params, samples, test_frames)?)?;
    let normalisation = Normalisation::new(&params.model.data_preprocessor);
    let logits = predict_clips(&network, &normalisation, clip_size, batches, |_| context.check_cancelled())?;
    let labelling = samples.preprocessing.labelling;
    let average = params.model.cls_head.average_clips;
    match average_views(&views, &logits, average, labelling, &samples.classes) {
        Ok(predictions) => Ok(Validation { figures: measure(&predictions, labelling), predictions, views }),
        Err(error @ MetricsError::NotFinite { .. }) => Err(StageError::from(error).with_help(LOWER_RATE)),
        Err(error) => Err(error.into()),
    }
}
