//! The learning rates: whether they are possible, and what they contribute to the key of an epoch.

use crate::TrainError;
use crate::plan::{Fields, field};
use crate::samples::Samples;
use pipe_schemas::stages::train::TrainParams;
use pipe_stage::StageError;

/// Checks the schedules against the number of steps, which is known from the samples.
///
/// # Errors
/// [`TrainError::Schedule`] for a schedule that does not fit the number of epochs or steps.
pub(crate) fn check_schedules(params: &TrainParams, samples: &Samples) -> Result<(), StageError> {
    let (num_epochs, steps_per_epoch) = (samples.num_epochs() as usize, samples.steps_per_epoch());
    let num_steps = (0..samples.num_epochs()).map(|epoch| samples.num_steps(epoch)).sum();
    for (position, scheduler) in params.param_scheduler.iter().enumerate() {
        if let Some(error) = scheduler.check_length(position, steps_per_epoch, num_epochs, num_steps) {
            let field = error.path.join(".");
            return Err(StageError::from(TrainError::Schedule { field, message: error.message }).with_help(error.help));
        }
    }
    Ok(())
}

/// Returns what the learning rates contribute to each epoch: one rate, and a digest of all where they change within the epoch.
/// Where a schedule reads a metric they are not known yet. They follow from the rate before schedules, from the schedules, which
/// are among the parameters of an epoch then, and from the epochs before.
///
/// # Errors
/// [`TrainError::Rate`] for a rate below 0 or one that is not finite.
pub(crate) fn fields_of_rates(params: &TrainParams, samples: &Samples) -> Result<Vec<Fields>, StageError> {
    let mut chain = params.lr_chain(samples.steps_per_epoch());
    let of_epoch = |epoch| {
        if params.lr_depends_on_metrics() {
            return Ok(vec![field(&["lr"], params.initial_lr().to_string())]);
        }
        let rates = chain.next_epoch(samples.num_steps(epoch));
        check_rates(epoch, &rates)?;
        let mut fields = vec![field(&["lr"], rates.first().copied().unwrap_or_default().to_string())];
        if rates.windows(2).any(|pair| pair[0].to_bits() != pair[1].to_bits()) {
            let bytes: Vec<u8> = rates.iter().flat_map(|rate| rate.to_bits().to_le_bytes()).collect();
            fields.push(field(&["lr_of_steps"], blake3::hash(&bytes).to_hex().to_string()));
        }
        Ok(fields)
    };
    (0..samples.num_epochs()).map(of_epoch).collect()
}

/// Checks the rates of an epoch. Where a rate is subtracted from itself, rounding may leave a little less than 0.
///
/// # Errors
/// [`TrainError::Rate`] for the first that is below 0 or not finite.
pub(crate) fn check_rates(epoch: u32, rates: &[f64]) -> Result<(), StageError> {
    let is_possible = |rate: f64| rate.is_finite() && rate > -1e-12;
    match rates.iter().position(|rate| !is_possible(*rate)) {
        None => Ok(()),
        Some(step) => Err(StageError::from(TrainError::Rate { epoch, step, rate: rates[step] }).with_help(
            "each schedule changes the rate that those before it have left; a cosine with a minimum above that rate mirrors it: \
             lower `eta_min`, or let one schedule `end` where the next one begins",
        )),
    }
}

/// Returns a warning if the learning rate was chosen for another number of clips per step.
pub(crate) fn other_batch_size(params: &TrainParams) -> Option<String> {
    let scale = params.auto_scale_lr.as_ref()?;
    let (clips, base) = (params.clips_per_step(), scale.base_batch_size);
    let lr = params.optim_wrapper.optimizer.lr()?;
    let proportional = scale.in_proportion(lr, clips);
    (!scale.enable && clips != base).then(|| {
        format!(
            "the learning rate {lr} was chosen for {base} clips per step, but a step has {clips}: in proportion it would be \
             {proportional}; set `auto_scale_lr.enable` to true for that, or set `optim_wrapper.optimizer.lr` for {clips} clips and \
             `auto_scale_lr.base_batch_size` to {clips}"
        )
    })
}

/// Returns a line on a learning rate that is scaled to the number of clips per step.
pub(crate) fn scaled(params: &TrainParams) -> Option<String> {
    let scale = params.auto_scale_lr.as_ref().filter(|scale| scale.enable)?;
    let (clips, base) = (params.clips_per_step(), scale.base_batch_size);
    let lr = params.optim_wrapper.optimizer.lr()?;
    (clips != base)
        .then(|| format!("learning rate {lr} for {base} clips per step, scaled to {} for {clips}", params.initial_lr()))
}
