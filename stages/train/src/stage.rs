//! [`Train`]: the stage itself.

use crate::device::device;
use crate::epochs::{self, read_log, read_steps, restore};
use crate::found_lr;
use crate::mistakes::Mistakes;
use crate::monitor::{BestEpoch, best_epoch, best_of_any_metric, ends_of_smaller_patience, num_used};
use crate::pictures::first_epoch;
use crate::plan;
use crate::processes::compute_threads;
use crate::rates::{other_batch_size, scaled};
use crate::samples::Samples;
use crate::start::{earlier_model, first_network};
use crate::tensorboard;
use crate::validate::{validate, validates_at_the_end};
use pipe_clips::Loader;
use pipe_learn::{Learner, TrainedModel, WeightsReport, use_threads};
use pipe_schemas::stages::train::{KeepStates, TrainParams};
use pipe_schemas::tables::{ModelCard, TrainingLogRow, TrainingStepRow};
use pipe_stage::protocol::{Made, MadePart, MakeParts, PlannedPart};
use pipe_stage::{Context, PartedStage, StageError, Summary};
use pipe_tables::{write_rows, write_training_log};

/// The stage `train`.
pub struct Train;

impl PartedStage for Train {
    fn kind(&self) -> &'static str {
        pipe_schemas::stages::train::CONTRACT.kind
    }

    fn plan(&self, context: &Context) -> Result<Vec<PlannedPart>, StageError> {
        let params = found_lr::params(context)?;
        let samples = Samples::read(context.input("samples")?, &params)?;
        plan::parts(context, &params, &samples)
    }

    fn make(&self, context: &Context, parts: &MakeParts) -> Result<Made, StageError> {
        epochs::make(context, parts)
    }

    fn assemble(&self, context: &Context, parts: &[MadePart]) -> Result<Summary, StageError> {
        let params = found_lr::params(context)?;
        use_threads(compute_threads(&params, context.threads()));
        let samples = Samples::read(context.input("samples")?, &params)?;
        let mut log = read_log(parts)?;
        let num_epochs = num_used(&params, &samples, &log);
        log.truncate(num_epochs);
        warn(context, &params, &samples, &log)?;
        let parts = &parts[..num_epochs];
        let steps = read_steps(parts)?;
        if let Some(warning) = overflows(&params, &steps) {
            context.warn(warning);
        }
        let last = parts.last().ok_or_else(|| StageError::message("the request has no epochs"))?;

        // Loading the first weights again is cheap, and gives the report of how they matched.
        let (network, report) = first_network(context, &params, &samples)?;
        let network = network.to_device(device(context, &params, 0)?);
        let mut learner = Learner::new(network, &params, samples.preprocessing.labelling)?;
        restore(&mut learner, last)?;
        let loader = Loader::open(context.input("frames")?)?;
        let mistakes = validate_at_the_end(context, &params, &samples, &loader, &learner, last, &mut log)?;
        if let Some(warning) = mistakes.warning(&samples.classes) {
            context.warn(warning);
        }
        let clips = first_epoch(&samples, &loader, context.threads())?;

        let best = best_epoch(&params, &samples, &log)?;
        write_models(context, &params, &samples, parts, best.as_ref(), (learner, &report))?;
        write_training_log(&context.output("training_log.parquet")?, &log)?;
        write_rows(&context.output("training_steps.parquet")?, &steps)?;
        tensorboard::write(&context.output("tensorboard")?, &params, &log, &steps, &clips, &mistakes.picture)?;
        let figures = figures(&log, best.as_ref());
        let summary = Summary::lines(lines(&params, &samples, &log, best.as_ref(), &report));
        Ok(Summary {
            used_parts: Some(num_epochs),
            kept_states: Some(kept_states(&params, &samples, parts, &log, best.as_ref())),
            ..summary.with_figures(figures.iter().map(|(name, value)| (name.as_str(), *value)))
        })
    }
}

/// Evaluates the test samples if that is due after the last epoch only, and adds the figures to its row of `log`. Returns the mistakes of
/// the last epoch.
fn validate_at_the_end(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
    loader: &Loader,
    learner: &Learner,
    last: &MadePart,
    log: &mut [TrainingLogRow],
) -> Result<Mistakes, StageError> {
    let num_epochs = log.len() as u32;
    let Some(row) = log.last_mut() else { return Ok(Mistakes::default()) };
    if validates_at_the_end(params, samples, num_epochs) {
        let validation = validate(context, params, samples, loader, &learner.evaluated()?)?;
        let mistakes = Mistakes::find(context, samples, loader, &validation)?;
        row.validation = Some(validation.figures);
        Ok(mistakes)
    } else if row.validation.is_some() {
        Mistakes::read(last)
    } else {
        Ok(Mistakes::default())
    }
}

/// Writes the network of the last epoch as `last`, and that of the best one as `model`; without `save_best`, both are the last.
fn write_models(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
    parts: &[MadePart],
    best: Option<&BestEpoch>,
    (mut learner, report): (Learner, &WeightsReport),
) -> Result<(), StageError> {
    let pruning = earlier_model(context, params, samples)?.map(|(_, card)| card.pruning).unwrap_or_default();
    let write = |port: &str, epochs: usize, learner: &Learner| {
        let card = ModelCard {
            model: params.model.clone(),
            classes: samples.classes.clone(),
            preprocessing: samples.preprocessing.clone(),
            graph_digest: learner.network().graph().digest().to_hex().to_string(),
            epochs: epochs as u32,
            pruning: pruning.clone(),
        };
        TrainedModel::write(&context.output(port)?, &card, &learner.evaluated()?, report).map_err(StageError::from)
    };
    write("last", parts.len(), &learner)?;
    let chosen = best.map_or(parts.len(), |best| best.epoch as usize + 1);
    if chosen != parts.len() {
        restore(&mut learner, &parts[chosen - 1])?;
    }
    write("model", chosen, &learner)
}

/// Maximum number of clips that a warning names.
const MAX_NAMED: usize = 5;

fn warn(context: &Context, params: &TrainParams, samples: &Samples, log: &[TrainingLogRow]) -> Result<(), StageError> {
    let epochs: Vec<u32> = log.iter().filter(|row| row.num_left_out > 0).map(|row| row.epoch).collect();
    if !epochs.is_empty() {
        context.warn(left_out(samples, &epochs)?);
    }
    if samples.num_test_views == 0 && params.train_cfg.validates() {
        context.warn("`val_interval` has no effect: there are no test samples");
    }
    if let Some(warning) = other_batch_size(params) {
        context.warn(warning);
    }
    Ok(())
}

/// Describes the steps of the optimiser that mixed precision has left out, because the gradients overflowed: their last batch has no norm
/// of gradients.
fn overflows(params: &TrainParams, steps: &[TrainingStepRow]) -> Option<String> {
    let accumulated = params.optim_wrapper.accumulative_counts.max(1) as usize;
    let of_epochs = || steps.chunk_by(|one, next| one.epoch == next.epoch);
    let num_updates: usize = of_epochs().map(|epoch| epoch.len().div_ceil(accumulated)).sum();
    let num_made = steps.iter().filter(|row| row.grad_norm.is_some()).count();
    let left_out = num_updates.saturating_sub(num_made);
    (left_out > 0).then(|| {
        format!("{left_out} of {num_updates} steps of the optimiser were left out, because their gradients overflowed in 16 bits")
    })
}

/// Describes the clips that are left out, one in each of `epochs`.
fn left_out(samples: &Samples, epochs: &[u32]) -> Result<String, StageError> {
    let mut names = Vec::new();
    for epoch in epochs.iter().take(MAX_NAMED) {
        let video_id = samples.last_clip(*epoch)?.map(|row| row.video_id).unwrap_or_default();
        names.push(format!("{video_id} in epoch {}", epoch + 1));
    }
    let count = epochs.len();
    let clips = if count == 1 {
        "1 clip is left out, because it is the last of its epoch".to_owned()
    } else {
        format!("{count} clips are left out, because each is the last of its epoch")
    };
    let more = if count > MAX_NAMED { format!(", and {} more", count - MAX_NAMED) } else { String::new() };
    Ok(format!("{clips} and would be a batch of its own: {}{more}", names.join(", ")))
}

/// Returns the names of the epochs whose states are kept. Besides those that the parameters name, it is the last one, and those
/// whose state is the model of a training with a smaller patience or another `save_best`.
fn kept_states(
    params: &TrainParams,
    samples: &Samples,
    parts: &[MadePart],
    log: &[TrainingLogRow],
    best: Option<&BestEpoch>,
) -> Vec<String> {
    let milestones = params.milestones(samples.steps_per_epoch());
    let possible_ends = ends_of_smaller_patience(params, samples, log);
    let possible_bests = best_of_any_metric(samples, log, &possible_ends);
    // An epoch starts from the state of the one before it.
    let is_milestone = |epoch: u32| milestones.contains(&(epoch + 1)) || samples.is_cut(epoch + 1);
    let is_kept = |epoch: u32| match params.checkpoint.keep {
        KeepStates::All => true,
        KeepStates::Milestones => {
            is_milestone(epoch) || possible_ends.contains(&epoch) || possible_bests.contains(&epoch)
        }
        KeepStates::Last => false,
    };
    let of_interval =
        |epoch: u32| params.checkpoint.interval.is_some_and(|interval| (epoch + 1).is_multiple_of(interval));
    let is_used = |epoch: u32| epoch as usize + 1 == parts.len() || best.is_some_and(|best| best.epoch == epoch);
    let kept = (0..).zip(parts).filter(|(epoch, _)| is_kept(*epoch) || of_interval(*epoch) || is_used(*epoch));
    kept.map(|(_, part)| part.name.clone()).collect()
}

/// Returns the numbers of the last epoch, and those of the best one.
fn figures(log: &[TrainingLogRow], best: Option<&BestEpoch>) -> Vec<(String, f64)> {
    let Some(last) = log.last() else { return Vec::new() };
    let validation = last.validation.iter().flat_map(|figures| &figures.values);
    let validation = validation.map(|(name, value)| (format!("val_{name}"), *value));
    let best = best.map(|BestEpoch { epoch, metric, value }| {
        [("best_epoch".to_owned(), f64::from(epoch + 1)), (format!("best_val_{metric}"), *value)]
    });
    let of_training = [("loss".to_owned(), last.loss), ("top1".to_owned(), last.top1)];
    of_training.into_iter().chain(validation).chain(best.into_iter().flatten()).collect()
}

fn lines(
    params: &TrainParams,
    samples: &Samples,
    log: &[TrainingLogRow],
    best: Option<&BestEpoch>,
    report: &WeightsReport,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(last) = log.last() {
        let first_figure = last.validation.as_ref().and_then(|figures| figures.values.first().zip(Some(figures)));
        let test = first_figure
            .map(|((name, value), figures)| format!(", test {name} {value:.2} on {} videos", figures.num_videos));
        let (loss, top1) = (last.loss, last.top1);
        let epochs = if log.len() == 1 { "1 epoch".to_owned() } else { format!("{} epochs", log.len()) };
        lines.push(format!("{epochs}, loss {loss:.2}, top1 {top1:.2}{}", test.unwrap_or_default()));
        let (num_steps, num_batches) = (samples.num_steps(last.epoch), samples.num_batches(last.epoch));
        if samples.is_cut(last.epoch) {
            lines.push(format!("the last epoch has {num_steps} of {num_batches} steps, because of `max_iters`"));
        }
    }
    if let Some(BestEpoch { epoch, metric, value }) = best {
        let number = epoch + 1;
        lines.push(format!(
            "the model is from epoch {number} of {}, with the best test {metric}, {value:.2}",
            log.len()
        ));
    }
    lines.extend(scaled(params));
    let num_left_out: u32 = log.iter().map(|row| row.num_left_out).sum();
    if num_left_out > 0 {
        let num_drawn = num_left_out + log.iter().map(|row| row.num_clips).sum::<u32>();
        lines.push(format!("{num_left_out} of {num_drawn} clips left out, to avoid batches of one clip"));
    }
    if let Some(stopping) = params.early_stopping.as_ref().filter(|_| log.len() < samples.num_epochs() as usize) {
        let (monitor, patience) = (&stopping.monitor, stopping.patience);
        let plural = if patience == 1 { "" } else { "s" };
        lines.push(format!("stopped early: {monitor} did not improve in {patience} validation{plural}"));
    }
    if let WeightsReport::Loaded(report) = report {
        lines.extend(report.lines());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_without_a_norm_of_gradients_are_counted() {
        let row = |epoch, grad_norm| TrainingStepRow {
            step: 1,
            epoch,
            num_clips: 1,
            lr: 0.1,
            loss: 1.0,
            top1: 0.0,
            grad_norm,
        };
        let mut params = TrainParams::default();
        let all = [row(0, Some(1.0)), row(0, Some(1.0)), row(0, Some(1.0))];
        assert_eq!(overflows(&params, &all), None);
        let some = [row(0, None), row(0, Some(1.0)), row(1, None)];
        let text = overflows(&params, &some).expect("a warning");
        assert!(text.starts_with("2 of 3 steps of the optimiser were left out"), "{text}");
        // Two batches make a step, and the last of an epoch makes one alone.
        params.optim_wrapper.accumulative_counts = 2;
        let text = overflows(&params, &some).expect("a warning");
        assert!(text.starts_with("1 of 2 steps"), "{text}");
    }
}
