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
use pipe_schemas::tables::{Labelling, TrainingLogRow};
use pipe_stage::protocol::{Made, MadePart, MakePart, MakeParts};
use pipe_stage::{Context, StageError};
use pipe_tables::{read_rows, write_rows};

const STATE: &str = "state.safetensors";
const LOG: &str = "log.parquet";

/// An epoch to train.
struct Link<'a> {
    epoch: u32,
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
    let num_steps = |epoch: u32| samples.num_clips[epoch as usize].div_ceil(batch_size) as u64;
    let total_steps: u64 = links.iter().map(|link| num_steps(link.epoch)).sum();
    let steps_before: u64 = (0..links.first().map_or(0, |link| link.epoch)).map(num_steps).sum();
    let mut steps_done = 0;
    for Link { epoch, part } in links {
        let mut batches = loader.clips(samples.epoch(epoch)?, size, batch_size, context.threads())?;
        if samples.preprocessing.labelling == Labelling::MultiLabel {
            batches = batches.with_targets(samples.classes.len())?;
        }
        let after_step = |Step { loss, top1, .. }| {
            steps_done += 1;
            let measured = [("epoch", f64::from(epoch + 1)), ("loss", loss), ("top1", top1)];
            context.measured(steps_before + steps_done, measured);
            context.progress(steps_done, total_steps, "steps");
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

fn links<'a>(parts: &'a MakeParts, samples: &Samples) -> Result<Vec<Link<'a>>, TrainError> {
    let num_epochs = samples.num_epochs();
    let first = match parts.resume_from() {
        Some(before) => (0..num_epochs).find(|epoch| name(*epoch) == before.name).map_or(num_epochs, |epoch| epoch + 1),
        None => 0,
    };
    let mut rest = first..num_epochs;
    let link = |part: &'a MakePart| match rest.next() {
        Some(epoch) if name(epoch) == part.name => Ok(Link { epoch, part }),
        _ => Err(TrainError::NotNext { part: part.name.clone() }),
    };
    parts.parts.iter().map(link).collect()
}

fn log_row(epoch: u32, result: EpochResult, measured: Option<(f64, f64)>) -> TrainingLogRow {
    let EpochResult { lr, loss, top1, grad_norm } = result;
    let (val_top1, val_loss) = measured.unzip();
    TrainingLogRow { epoch, lr, loss, top1, grad_norm, val_top1, val_loss }
}
