//! When and how a network is measured while it is trained.

use crate::samples::Samples;
use pipe_clips::{ClipSize, Loader};
use pipe_learn::{Network, Normalisation, TrainedModel, average_views, evaluate_views, metrics, top1};
use pipe_schemas::stages::train::TrainParams;
use pipe_stage::{Context, StageError};
use std::sync::Arc;

/// Returns whether the test samples are evaluated after so many epochs, whatever follows.
pub(crate) fn validates(params: &TrainParams, samples: &Samples, epochs_done: u32) -> bool {
    let interval = params.train_cfg.val_interval;
    interval > 0 && epochs_done.is_multiple_of(interval) && samples.num_test_views > 0
}

/// Returns whether they are evaluated after the last epoch though its number alone does not ask for it. `MMEngine` does so.
pub(crate) fn validates_at_the_end(params: &TrainParams, samples: &Samples) -> bool {
    let asked_for = params.train_cfg.val_interval > 0 && samples.num_test_views > 0;
    asked_for && !validates(params, samples, params.train_cfg.max_epochs)
}

/// Returns top-1 and loss on the test samples.
pub(crate) fn validate(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
    loader: &Loader,
    network: &Network,
) -> Result<(f64, f64), StageError> {
    let test_frames = samples.preprocessing.test_frames;
    let size: ClipSize = samples.clip_size(test_frames);
    let batch_size = params.train_dataloader.batch_size as usize;
    let views = samples.test()?;
    let batches = loader.clips(Arc::clone(&views), size, batch_size, context.threads())?;
    let graph = TrainedModel::graph(&params.model, test_frames, &samples.preprocessing, samples.classes.len())?;
    let network = network.with_graph(graph)?;
    let normalisation = Normalisation::new(&params.model.data_preprocessor);
    let check = |_| context.check_cancelled();
    let logits = evaluate_views(&network, &normalisation, size, batches, check)?;
    let labelling = samples.preprocessing.labelling;
    let predictions = average_views(&views, &logits, params.model.cls_head.average_clips, labelling)?;
    Ok((top1(&predictions), metrics(&predictions, 0, labelling).loss))
}
