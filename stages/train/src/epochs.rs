//! Trains epochs, one after the other. Each leaves a state from which the next one starts.

use crate::TrainError;
use crate::device::device;
use crate::diverged::{Batch, diverged};
use crate::error::{Stopped, smaller_batch};
use crate::found_lr;
use crate::interval::Interval;
use crate::mistakes::Mistakes;
use crate::monitor::ends_early;
use crate::plan::name;
use crate::processes::{Processes, compute_threads, hear_epoch, tell_epoch};
use crate::rates::{Rates, other_batch_size, scaled};
use crate::samples::Samples;
use crate::start::{first_network, graph};
use crate::validate::{validate, validates};
use pipe_clips::Loader;
use pipe_learn::{
    Device, Epoch, EpochResult, LearnError, Learner, Network, Piece, ProcessGroup, StepResult, use_threads,
};
use pipe_schemas::stages::evaluate::Figures;
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::{Labelling, SampleRow, TrainingLogRow, TrainingStepRow};
use pipe_stage::protocol::{Made, MadePart, MakePart, MakeParts};
use pipe_stage::{Context, StageError};
use pipe_tables::{read_rows, read_training_log, write_rows, write_training_log};
use std::ops::Range;
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
    /// The processes that train together; `None` if this one trains alone.
    group: Option<&'a Arc<ProcessGroup>>,
    /// Number of threads that decode clips, and of those that compute.
    pub(crate) threads: usize,
    /// Number of steps that this request makes.
    total_steps: u64,
}

/// Trains the epochs of `parts`, which follow each other, with as many processes as the parameters ask for.
pub(crate) fn make(context: &Context, parts: &MakeParts) -> Result<Made, StageError> {
    let params = found_lr::params(context)?;
    let mut processes = Processes::start(context, &params)?;
    let group = processes.group().cloned();
    let made = make_links(context, &params, parts, group.as_ref(), processes.threads);
    let made = made.map_err(|error| processes.explain(error))?;
    processes.finish()?;
    Ok(made)
}

/// Trains the epochs of `parts` as another process than the first of `group`. Writes nothing.
pub(crate) fn make_as_another(
    context: &Context,
    parts: &MakeParts,
    group: &Arc<ProcessGroup>,
) -> Result<(), StageError> {
    let params = found_lr::params(context)?;
    make_links(context, &params, parts, Some(group), context.threads())?;
    group.barrier().map_err(Stopped::from_group)
}

fn make_links(
    context: &Context,
    params: &TrainParams,
    parts: &MakeParts,
    group: Option<&Arc<ProcessGroup>>,
    threads: usize,
) -> Result<Made, StageError> {
    use_threads(compute_threads(params, threads));
    let samples = Samples::read(context.input("samples")?, params)?;
    let links = links(parts, &samples)?;
    let is_first = group.is_none_or(|group| group.rank() == 0);
    let device = device(context, params, group.map_or(0, |group| group.rank()))?;
    let mut learner = start(context, params, &samples, parts.resume_from(), device)?;
    if is_first {
        let lines = learner.lines().iter().cloned();
        let lines = other_batch_size(params).or_else(|| scaled(params)).into_iter().chain(lines);
        lines.for_each(|line| context.log(line));
    }
    if let Some(group) = group {
        learner.join_group(Arc::clone(group), params.sync_bn);
    }
    let first_epoch = links.first().map_or(0, |link| link.epoch);
    let num_before = parts.earlier.len().min(first_epoch as usize);
    let mut log = read_log(&parts.earlier[..num_before])?;
    let mut rates = Rates::new(params, learner.network().graph(), samples.steps_per_epoch())?;
    let mut steps_before = 0;
    for row in &log {
        steps_before += replay(&mut rates, &samples, row)?;
    }
    let total_steps = links.iter().map(|link| samples.num_steps(link.epoch) as u64).sum();
    let loader = Loader::open(context.input("frames")?)?;
    let run = Run { context, params, samples: &samples, loader, group, threads, total_steps };
    let mut steps_done = 0;
    for link in links {
        if !link.only_state && ends_early(params, &samples, &log) {
            return Ok(Made::ChainEnded);
        }
        let learning_rates = rates.next_epoch(samples.num_steps(link.epoch))?;
        let (row, steps) = run.epoch(&mut learner, &link, &learning_rates, steps_before, &mut steps_done)?;
        if let Some(figures) = &row.validation {
            rates.validated(figures);
        }
        if is_first {
            write_training_log(&link.part.note(LOG)?, std::slice::from_ref(&row))?;
            write_rows(&link.part.note(STEPS)?, &steps)?;
            learner.save(&link.part.state(STATE)?)?;
            context.part_finished(&link.part.name);
        }
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
        let Self { context, samples, loader, group, threads, total_steps, .. } = self;
        let clip_size = samples.clip_size(samples.preprocessing.train_frames);
        let batch_size = samples.batch_size;
        let rows = samples.epoch(link.epoch)?;
        let (rank, world_size) = group.map_or((0, 1), |group| (group.rank(), group.world_size()));
        let steps_of = |step: Range<usize>| Piece::of(step.len(), rank, world_size, samples.smallest_piece());
        let pieces: Vec<Piece> = batch_ranges(rows.len(), batch_size).map(steps_of).collect();
        let shown = batch_ranges(rows.len(), batch_size).zip(&pieces);
        let shown = shown.map(|(step, piece)| step.start + piece.first..step.start + piece.first + piece.len);
        let mut batches = loader.batches(Arc::clone(&rows), shown.collect(), clip_size, *threads)?;
        if samples.preprocessing.labelling == Labelling::MultiLabel {
            batches = batches.with_targets(samples.classes.len())?;
        }
        let num_steps = samples.num_steps(link.epoch);
        let batches = batches.take(num_steps);
        let (mut steps, mut interval) = (Vec::new(), Interval::default());
        let done_before = steps_before + *steps_done;
        let (index, steps_before_epoch) = (link.epoch, done_before);
        let pieces = if group.is_some() { &pieces[..] } else { &[] };
        let epoch = Epoch { index, learning_rates, clip_size, num_steps, steps_before: steps_before_epoch, pieces };
        let after_step = |result: StepResult| {
            *steps_done += 1;
            let step = steps_before + *steps_done;
            context.measured(step, figures_of_step(link.epoch, result));
            context.progress(*steps_done, *total_steps, "steps");
            steps.push(step_row(step, link.epoch, result));
            let line = interval.add(result, num_steps, *total_steps - *steps_done);
            if let Some(line) = line.filter(|_| rank == 0) {
                context.log(format!("epoch {}, {line}", link.epoch + 1));
            }
            context.check_cancelled().map_err(Stopped::Stage)
        };
        let result = learner.train_epoch(epoch, batches, after_step).map_err(|stopped| match stopped {
            Stopped::Learn(LearnError::Diverged { what, epoch, step }) => {
                let batch = Batch { rows: &rows, first: step * batch_size, len: batch_size };
                diverged(self, &batch, what, epoch, step)
            }
            Stopped::Learn(error) if error.is_out_of_memory() => self.out_of_memory(learner, &rows, error),
            other => other.into_stage_error(),
        })?;
        learner.network().check_finite().map_err(Stopped::Learn).map_err(Stopped::into_stage_error)?;
        if let Some(verdict) = interval.verdict().filter(|_| rank == 0) {
            context.log(format!("epoch {}: {verdict}", link.epoch + 1));
        }
        let figures = self.validation(learner, link, steps_before + *steps_done)?;
        Ok((log_row(link.epoch, result, samples.num_left_out(link.epoch), figures), steps))
    }

    /// Returns an error with the batch size that would fit, if that can be measured.
    fn out_of_memory(&self, learner: &Learner, rows: &Arc<[SampleRow]>, error: LearnError) -> StageError {
        let clip_size = self.samples.clip_size(self.samples.preprocessing.train_frames);
        let few = std::iter::once(0..rows.len().min(4)).collect();
        let few =
            self.loader.batches(Arc::clone(rows), few, clip_size, 1).ok().and_then(|mut batches| batches.next()?.ok());
        let memory = few.and_then(|few| learner.memory_of_clips(&few, clip_size));
        let help = memory.map(|memory| smaller_batch(&memory, self.params.train_dataloader.batch_size as usize));
        Stopped::Learn(error).into_stage_error().with_optional_help(help.as_deref())
    }

    /// Evaluates the test samples after an epoch, if this belongs to it. Of several processes the first one does, and tells the others.
    fn validation(&self, learner: &Learner, link: &Link, step: u64) -> Result<Option<Figures>, StageError> {
        match self.group {
            None => self.own_validation(learner, link, step),
            Some(group) if group.rank() > 0 => hear_epoch(group, link.epoch),
            Some(group) => {
                let figures = self.own_validation(learner, link, step)?;
                tell_epoch(group, link.epoch, figures.as_ref())?;
                Ok(figures)
            }
        }
    }

    fn own_validation(&self, learner: &Learner, link: &Link, step: u64) -> Result<Option<Figures>, StageError> {
        let Self { context, params, samples, loader, .. } = self;
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

/// Returns the rows of each step.
fn batch_ranges(num_rows: usize, batch_size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..num_rows).step_by(batch_size.max(1)).map(move |start| start..(start + batch_size).min(num_rows))
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
    device: Device,
) -> Result<Learner, StageError> {
    let labelling = samples.preprocessing.labelling;
    let Some(part) = resume_from else {
        return Ok(Learner::new(first_network(context, params, samples)?.0.to_device(device), params, labelling)?);
    };
    let mut learner =
        Learner::new(Network::new(graph(context, params, samples)?, params.seed).to_device(device), params, labelling)?;
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
