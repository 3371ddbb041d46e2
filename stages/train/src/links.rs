//! Trains epochs, one after the other; each leaves what the next goes on from.

use crate::TrainError;
use crate::error::Stopped;
use crate::plan::name;
use crate::samples::Samples;
use crate::start::{first_network, graph};
use crate::validate::{validate, validates};
use pipe_clips::Loader;
use pipe_learn::{EpochResult, Learner, Network, Step, pin_threads};
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::{Labelling, SampleRow, TrainingLogRow};
use pipe_stage::protocol::{Made, MadePart, MakePart, MakeParts};
use pipe_stage::{Context, StageError};
use pipe_tables::{read_rows, write_rows};
use std::sync::Arc;

const STATE: &str = "state.safetensors";
const LOG: &str = "log.parquet";

/// An epoch to train.
struct Link<'a> {
    epoch: u32,
    rows: &'a Arc<[SampleRow]>,
    part: &'a MakePart,
}

/// Trains the epochs of `parts`, which follow on each other.
pub(crate) fn make(context: &Context, parts: &MakeParts) -> Result<Made, StageError> {
    pin_threads();
    let params: TrainParams = context.params()?;
    let samples = Samples::read(context.input("samples")?, &params)?;
    let links = links(parts, &samples)?;
    let loader = Loader::open(context.input("frames")?)?;
    let mut learner = match parts.resume_from() {
        Some(before) => {
            let mut learner = Learner::new(Network::new(graph(&params, &samples)?, params.seed), &params);
            restore(&mut learner, before)?;
            learner
        }
        None => Learner::new(first_network(context, &params, &samples)?.0, &params),
    };
    let batch_size = params.train_dataloader.batch_size as usize;
    let size = samples.clip_size(samples.preprocessing.train_frames);
    let total_steps: usize = links.iter().map(|link| link.rows.len().div_ceil(batch_size)).sum();
    let first_epoch = links.first().map_or(0, |link| link.epoch as usize);
    let earlier = samples.epochs.iter().take(first_epoch);
    let steps_before: u64 = earlier.map(|rows| rows.len().div_ceil(batch_size) as u64).sum();
    let mut steps_done = 0;
    for Link { epoch, rows, part } in links {
        let mut batches = loader.clips(Arc::clone(rows), size, batch_size, context.threads())?;
        if samples.preprocessing.labelling == Labelling::MultiLabel {
            batches = batches.with_targets(samples.classes.len())?;
        }
        let after_step = |Step { loss, top1, .. }| {
            steps_done += 1;
            let measured = [("epoch", f64::from(epoch + 1)), ("loss", loss), ("top1", top1)];
            context.measured(steps_before + steps_done, measured);
            context.progress(steps_done, total_steps as u64, "steps");
            context.check_cancelled().map_err(Stopped::Stage)
        };
        let result = learner.train_epoch(epoch, size, batches, after_step).map_err(Stopped::into_stage_error)?;
        learner.network().check_finite()?;
        let validated = validates(&params, &samples, epoch + 1);
        let measured =
            validated.then(|| validate(context, &params, &samples, &loader, learner.network())).transpose()?;
        learner.save(&part.state(STATE)?)?;
        write_rows(&part.note(LOG)?, &[log_row(epoch, result, measured)])?;
        context.part_finished(&part.name);
    }
    Ok(Made::All)
}

/// Takes the state that an epoch left.
pub(crate) fn restore(learner: &mut Learner, part: &MadePart) -> Result<(), StageError> {
    Ok(learner.restore(&part.state(STATE)?)?)
}

/// Reads the log of all epochs.
pub(crate) fn read_log(parts: &[MadePart]) -> Result<Vec<TrainingLogRow>, StageError> {
    let mut log = Vec::with_capacity(parts.len());
    for part in parts {
        log.extend(read_rows::<TrainingLogRow>(&part.note(LOG))?);
    }
    Ok(log)
}

fn links<'a>(parts: &'a MakeParts, samples: &'a Samples) -> Result<Vec<Link<'a>>, TrainError> {
    let known = || samples.epochs.iter().zip(0..);
    let first = match parts.resume_from() {
        Some(before) => known().position(|(_, epoch)| name(epoch) == before.name).map_or(usize::MAX, |at| at + 1),
        None => 0,
    };
    let mut rest = known().skip(first);
    let link = |part: &'a MakePart| match rest.next() {
        Some((rows, epoch)) if name(epoch) == part.name => Ok(Link { epoch, rows, part }),
        _ => Err(TrainError::NotNext { part: part.name.clone() }),
    };
    parts.parts.iter().map(link).collect()
}

fn log_row(epoch: u32, result: EpochResult, measured: Option<(f64, f64)>) -> TrainingLogRow {
    let EpochResult { lr, loss, top1, grad_norm } = result;
    let (val_top1, val_loss) = measured.unzip();
    TrainingLogRow { epoch, lr, loss, top1, grad_norm, val_top1, val_loss }
}
