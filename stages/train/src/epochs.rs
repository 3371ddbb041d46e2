//! Trains epochs, one after the other. Each leaves a state from which the next one starts.

use crate::TrainError;
use crate::diverged::{Batch, diverged};
use crate::error::Stopped;
use crate::found_lr;
use crate::interval::Interval;
use crate::mistakes::Mistakes;
use crate::monitor::ends_early;
use crate::plan::name;
use crate::rates::{Rates, other_batch_size, scaled};
use crate::samples::Samples;
use crate::start::{first_network, graph};
use crate::validate::{validate, validates};
use pipe_clips::Loader;
use pipe_learn::{Epoch, EpochResult, LearnError, Learner, Network, StepResult, pin_threads};
use pipe_schemas::stages::evaluate::Figures;
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::{Labelling, TrainingLogRow, TrainingStepRow};
use pipe_stage::protocol::{Made, MadePart, MakePart, MakeParts};
use pipe_stage::{Context, StageError};
use pipe_tables::{read_rows, read_training_log, write_rows, write_training_log};
use std::sync::Arc;

const STATE: &str = "state.safetensors";
const LOG: &str = "log.parquet";
const STEPS: &str = "steps.parquet";

/// An epoch to train.
struct Link<'a> {
    epoch: u32,
    part: &'a MakePart,
    /// Whether the epoch has been trained before: only its state is missing.
    only_state: bool,
}

/// What all epochs need.
pub(crate) struct Run<'a> {
    pub(crate) context: &'a Context,
    params: &'a TrainParams,
    pub(crate) samples: &'a Samples,
    pub(crate) loader: Loader,
    /// Number of steps that this request makes.
    total_steps: u64,
}

/// Trains the epochs of `parts`, which follow each other.
pub(crate) fn make(context: &Context, parts: &MakeParts) -> Result<Made, StageError> {
    pin_threads();
    let params = found_lr::params(context)?;
    let samples = Samples::read(context.input("samples")?, &params)?;
    let links = links(parts, &samples)?;
    if let Some(line) = other_batch_size(&params).or_else(|| scaled(&params)) {
        context.log(line);
    }
    let mut learner = start(context, &params, &samples, parts.resume_from())?;
    learner.lines().iter().for_each(|line| context.log(line));
    let first_epoch = links.first().map_or(0, |link| link.epoch);
    let num_before = parts.earlier.len().min(first_epoch as usize);
    let mut log = read_log(&parts.earlier[..num_before])?;
    let mut rates = Rates::new(&params, learner.network().graph(), samples.steps_per_epoch())?;
    let mut steps_before = 0;
    for row in &log {
        steps_before += replay(&mut rates, &samples, row)?;
    }
    let total_steps = links.iter().map(|link| samples.num_steps(link.epoch) as u64).sum();
    let loader = Loader::open(context.input("frames")?)?;
    let run = Run { context, params: &params, samples: &samples, loader, total_steps };
    let mut steps_done = 0;
    for link in links {
        if !link.only_state && ends_early(&params, &samples, &log) {
            return Ok(Made::ChainEnded);
        }
        let learning_rates = rates.next_epoch(samples.num_steps(link.epoch))?;
        let (row, steps) = run.epoch(&mut learner, &link, &learning_rates, steps_before, &mut steps_done)?;
        if let Some(figures) = &row.validation {
            rates.validated(figures);
        }
        write_training_log(&link.part.note(LOG)?, std::slice::from_ref(&row))?;
        write_rows(&link.part.note(STEPS)?, &steps)?;
        learner.save(&link.part.state(STATE)?)?;
        context.part_finished(&link.part.name);
        log.push(row);
    }
    Ok(Made::All)
}

impl Run<'_> {
    /// Trains an epoch, and validates the network if this belongs to it.
    fn epoch(
        &self,
        learner: &mut Learner,
        link: &Link,
        learning_rates: &[Vec<f64>],
        steps_before: u64,
        steps_done: &mut u64,
    ) -> Result<(TrainingLogRow, Vec<TrainingStepRow>), StageError> {
        let Self { context, params, samples, loader, total_steps } = self;
        let clip_size = samples.clip_size(samples.preprocessing.train_frames);
        let batch_size = params.train_dataloader.batch_size as usize;
        let rows = samples.epoch(link.epoch)?;
        let mut batches = loader.clips(Arc::clone(&rows), clip_size, batch_size, context.threads())?;
        if samples.preprocessing.labelling == Labelling::MultiLabel {
            batches = batches.with_targets(samples.classes.len())?;
        }
        let num_steps = samples.num_steps(link.epoch);
        let batches = batches.take(num_steps);
        let (mut steps, mut interval) = (Vec::new(), Interval::default());
        let done_before = steps_before + *steps_done;
        let epoch = Epoch { index: link.epoch, learning_rates, clip_size, num_steps, steps_before: done_before };
        let after_step = |result: StepResult| {
            *steps_done += 1;
            let step = steps_before + *steps_done;
            context.measured(step, figures_of_step(link.epoch, result));
            context.progress(*steps_done, *total_steps, "steps");
            steps.push(step_row(step, link.epoch, result));
            if let Some(line) = interval.add(result, num_steps, *total_steps - *steps_done) {
                context.log(format!("epoch {}, {line}", link.epoch + 1));
            }
            context.check_cancelled().map_err(Stopped::Stage)
        };
        let result = learner.train_epoch(epoch, batches, after_step).map_err(|stopped| match stopped {
            Stopped::Learn(LearnError::Diverged { what, epoch, step }) => {
                let batch = Batch { rows: &rows, first: step * batch_size, len: batch_size };
                diverged(self, &batch, what, epoch, step)
            }
            other => other.into_stage_error(),
        })?;
        learner.network().check_finite().map_err(Stopped::Learn).map_err(Stopped::into_stage_error)?;
        if let Some(verdict) = interval.verdict() {
            context.log(format!("epoch {}: {verdict}", link.epoch + 1));
        }
        let figures = self.validation(learner, link, steps_before + *steps_done)?;
        Ok((log_row(link.epoch, result, samples.num_left_out(link.epoch), figures), steps))
    }

    /// Evaluates the test samples after an epoch, if this belongs to it.
    fn validation(&self, learner: &Learner, link: &Link, step: u64) -> Result<Option<Figures>, StageError> {
        let Self { context, params, samples, loader, total_steps: _ } = self;
        if !validates(params, samples, link.epoch + 1) {
            return Ok(None);
        }
        let validation = validate(context, params, samples, loader, &learner.evaluated()?)?;
        let values = &validation.figures.values;
        let names: Vec<_> = values.iter().map(|(name, value)| (format!("val_{name}"), *value)).collect();
        context.measured(step, names.iter().map(|(name, value)| (name.as_str(), *value)));
        Mistakes::find(context, samples, loader, &validation)?.write(link.part)?;
        Ok(Some(validation.figures))
    }
}

/// Returns the numbers that are reported after a step. They are not part of any result, so that they may depend on the clock.
fn figures_of_step(epoch: u32, result: StepResult) -> impl Iterator<Item = (&'static str, f64)> {
    let StepResult { step: _, num_clips, lr, loss, top1, grad_norm, data_secs, compute_secs } = result;
    let figures = [
        ("epoch", Some(f64::from(epoch + 1))),
        ("loss", Some(loss)),
        ("top1", Some(top1)),
        ("lr", Some(lr)),
        ("grad_norm", grad_norm),
        ("data_secs", Some(data_secs)),
        ("compute_secs", Some(compute_secs)),
        ("clips_per_sec", Some(num_clips as f64 / (data_secs + compute_secs).max(f64::MIN_POSITIVE))),
    ];
    figures.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

fn step_row(step: u64, epoch: u32, result: StepResult) -> TrainingStepRow {
    let StepResult { step: _, num_clips, lr, loss, top1, grad_norm, data_secs: _, compute_secs: _ } = result;
    TrainingStepRow { step, epoch, num_clips: num_clips as u32, lr, loss, top1, grad_norm }
}

/// Returns a learner in the state that `resume_from` left, or before its first step.
fn start(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
    resume_from: Option<&MadePart>,
) -> Result<Learner, StageError> {
    let labelling = samples.preprocessing.labelling;
    let Some(part) = resume_from else {
        return Ok(Learner::new(first_network(context, params, samples)?.0, params, labelling)?);
    };
    let mut learner = Learner::new(Network::new(graph(params, samples)?, params.seed), params, labelling)?;
    restore(&mut learner, part)?;
    Ok(learner)
}

/// Restores the state that an epoch left.
pub(crate) fn restore(learner: &mut Learner, part: &MadePart) -> Result<(), StageError> {
    Ok(learner.restore(&part.state(STATE)?)?)
}

/// Reads the log of epochs.
pub(crate) fn read_log(parts: &[MadePart]) -> Result<Vec<TrainingLogRow>, StageError> {
    let mut log = Vec::with_capacity(parts.len());
    for part in parts {
        log.extend(read_training_log(&part.note(LOG))?);
    }
    Ok(log)
}

/// Reads the steps of epochs.
pub(crate) fn read_steps(parts: &[MadePart]) -> Result<Vec<TrainingStepRow>, StageError> {
    let mut steps = Vec::new();
    for part in parts {
        steps.extend(read_rows::<TrainingStepRow>(&part.note(STEPS))?);
    }
    Ok(steps)
}

/// Moves the learning rates past an epoch that was trained before; returns the number of its steps.
fn replay(rates: &mut Rates, samples: &Samples, row: &TrainingLogRow) -> Result<u64, StageError> {
    let num_steps = samples.num_steps(row.epoch);
    rates.next_epoch(num_steps)?;
    if let Some(figures) = &row.validation {
        rates.validated(figures);
    }
    Ok(num_steps as u64)
}

fn links<'a>(parts: &'a MakeParts, samples: &Samples) -> Result<Vec<Link<'a>>, TrainError> {
    let known = 0..samples.num_epochs();
    let mut rest = match parts.resume_from() {
        Some(before) => known.clone().find(|epoch| name(*epoch) == before.name).map_or(0..0, |at| at + 1..known.end),
        None => known,
    };
    let link = |part: &'a MakePart| match rest.next() {
        Some(epoch) if name(epoch) == part.name => {
            Ok(Link { epoch, part, only_state: parts.earlier.iter().any(|link| link.name == part.name) })
        }
        _ => Err(TrainError::NotNext { part: part.name.clone() }),
    };
    parts.parts.iter().map(link).collect()
}

fn log_row(epoch: u32, result: EpochResult, num_left_out: u32, validation: Option<Figures>) -> TrainingLogRow {
    let EpochResult { num_clips, lr, loss, top1, grad_norm } = result;
    let num_clips = num_clips as u32;
    TrainingLogRow { epoch, num_clips, num_left_out, lr, loss, top1, grad_norm, validation }
}
