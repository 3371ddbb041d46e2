//! [`Train`]: the stage itself.

use crate::TrainError;
use crate::error::Stopped;
use crate::samples::Samples;
use pipe_clips::{ClipSize, Loader};
use pipe_graph::Op;
use pipe_learn::{
    EpochResult, Learner, Network, Normalisation, Step, TrainedModel, WeightsReport, average_views, evaluate_views,
    metrics, pin_threads,
};
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::{ModelCard, TrainingLogRow};
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_tables::write_rows;
use pipe_weights::Checkpoint;
use std::sync::Arc;

/// The stage `train`.
pub struct Train;

impl Stage for Train {
    fn kind(&self) -> &'static str {
        pipe_schemas::stages::train::CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        pin_threads();
        let params: TrainParams = context.params()?;
        let samples = Samples::read(context.input("samples")?, &params)?;
        if samples.num_left_out > 0 {
            context.warn("the last clip of each epoch is left out: it would be a batch of its own");
        }
        if samples.test.is_empty() && params.train_cfg.val_interval > 0 {
            context.warn("`val_interval` has no effect: there are no test samples");
        }
        let loader = Loader::open(context.input("frames")?)?;
        let (network, report) = first_network(context, &params, &samples)?;
        let graph_digest = network.graph().digest().to_hex().to_string();
        let mut learner = Learner::new(network, &params);
        let log = fit(context, &params, &samples, &loader, &mut learner)?;
        learner.network().check_finite()?;

        let card = ModelCard {
            model: params.model.clone(),
            classes: samples.classes,
            preprocessing: samples.preprocessing,
            graph_digest,
            epochs: params.train_cfg.max_epochs,
        };
        TrainedModel::write(&context.output("model")?, &card, learner.network(), &report)?;
        write_rows(&context.output("training_log.parquet")?, &log)?;
        Ok(summary(&log, &report))
    }
}

/// Builds the network and gives it its first weights.
fn first_network(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
) -> Result<(Network, WeightsReport), StageError> {
    let preprocessing = &samples.preprocessing;
    let (train_frames, test_frames) = (preprocessing.train_frames, preprocessing.test_frames);
    let graph = TrainedModel::graph(&params.model, train_frames, preprocessing, samples.classes.len())?;
    let shifts = graph.nodes.iter().any(|node| matches!(node.op, Op::TemporalShift { .. }));
    if shifts && train_frames != test_frames {
        let network = graph.name.clone();
        return Err(StageError::from(TrainError::ShiftedFrames { network, train_frames, test_frames })
            .with_help("give both pipelines of `augment` the same number of frames"));
    }
    let mut network = Network::new(graph, params.seed);
    let Some(sources) = context.source("load_from")? else {
        let initialised = network.graph().params.len();
        return Ok((network, WeightsReport::Initialised { initialised }));
    };
    let [file] = sources.files.as_slice() else {
        return Err(TrainError::Checkpoint { num_files: sources.files.len() }.into());
    };
    let path = if sources.root.is_dir() { sources.root.join(&file.path) } else { sources.root };
    let report = network.load(&Checkpoint::open(&path)?).map_err(|error| {
        StageError::from(error).with_help("check that `model.backbone` is the network that these weights were made for")
    })?;
    Ok((network, WeightsReport::Loaded(report)))
}

fn fit(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
    loader: &Loader,
    learner: &mut Learner,
) -> Result<Vec<TrainingLogRow>, StageError> {
    let batch_size = params.train_dataloader.batch_size as usize;
    let size = samples.clip_size(samples.preprocessing.train_frames);
    let total_steps: usize = samples.epochs.iter().map(|rows| rows.len().div_ceil(batch_size)).sum();
    let num_epochs = samples.epochs.len();
    let mut steps_done = 0;
    let mut log = Vec::with_capacity(num_epochs);
    for (epoch, rows) in samples.epochs.iter().enumerate() {
        let batches = loader.clips(Arc::clone(rows), size, batch_size, context.threads())?;
        let after_step = |Step { loss, top1, .. }| {
            steps_done += 1;
            context.progress(steps_done, total_steps as u64, "steps", || {
                format!("epoch {}/{num_epochs}  loss {loss:.2}  top1 {top1:.2}", epoch + 1)
            });
            context.check_cancelled().map_err(Stopped::Stage)
        };
        let result = learner.train_epoch(epoch as u32, size, batches, after_step).map_err(Stopped::into_stage_error)?;
        let validated = validates(params, epoch + 1, num_epochs) && !samples.test.is_empty();
        let measured = if validated { Some(validate(context, params, samples, loader, learner)?) } else { None };
        log.push(log_row(epoch as u32, result, measured));
    }
    Ok(log)
}

/// Returns whether the test samples are evaluated after so many epochs, as MMEngine decides it.
fn validates(params: &TrainParams, epochs_done: usize, num_epochs: usize) -> bool {
    let interval = params.train_cfg.val_interval as usize;
    interval > 0 && (epochs_done.is_multiple_of(interval) || epochs_done == num_epochs)
}

/// Returns top-1 and loss on the test samples.
fn validate(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
    loader: &Loader,
    learner: &Learner,
) -> Result<(f64, f64), StageError> {
    let test_frames = samples.preprocessing.test_frames;
    let size: ClipSize = samples.clip_size(test_frames);
    let batch_size = params.train_dataloader.batch_size as usize;
    let batches = loader.clips(Arc::clone(&samples.test), size, batch_size, context.threads())?;
    let graph = TrainedModel::graph(&params.model, test_frames, &samples.preprocessing, samples.classes.len())?;
    let network = learner.network().with_graph(graph)?;
    let normalisation = Normalisation::new(&params.model.data_preprocessor);
    let check = |_| context.check_cancelled();
    let logits = evaluate_views(&network, &normalisation, size, batches, check)?;
    let predictions = average_views(&samples.test, &logits, params.model.cls_head.average_clips)?;
    let metrics = metrics(&predictions, 0);
    Ok((metrics.top1, metrics.loss))
}

fn log_row(epoch: u32, result: EpochResult, measured: Option<(f64, f64)>) -> TrainingLogRow {
    let EpochResult { lr, loss, top1, grad_norm } = result;
    let (val_top1, val_loss) = measured.unzip();
    TrainingLogRow { epoch, lr, loss, top1, grad_norm, val_top1, val_loss }
}

fn summary(log: &[TrainingLogRow], report: &WeightsReport) -> Summary {
    let mut lines = Vec::new();
    if let Some(last) = log.last() {
        let val = last.val_top1.map(|top1| format!(", test top1 {top1:.2}")).unwrap_or_default();
        lines.push(format!("{} epochs, loss {:.2}, top1 {:.2}{val}", log.len(), last.loss, last.top1));
    }
    if let WeightsReport::Loaded(report) = report {
        let names = if report.reinitialised.is_empty() {
            String::new()
        } else {
            format!(" ({})", report.reinitialised.join(", "))
        };
        let (matched, reinitialised, unused) = (report.num_matched, report.num_reinitialised, report.num_unused);
        lines.push(format!("{matched} tensors matched, {reinitialised} reinitialised{names}, {unused} unused"));
    }
    Summary { lines }
}
