//! [`Rates`]: the learning rates of all tensors, whether they are possible, and what they contribute to the key of an epoch.

use crate::TrainError;
use crate::plan::{Fields, field};
use crate::samples::Samples;
use pipe_graph::Graph;
use pipe_learn::{LearnError, ParamGroups, TrainedTensor};
use pipe_schemas::stages::evaluate::Figures;
use pipe_schemas::stages::train::{LrChain, TrainParams};
use pipe_stage::StageError;

/// The learning rates of a training run, epoch after epoch. Schedules change the rate of each tensor from its own initial rate: with a
/// minimum, rates do not keep their ratios.
#[derive(Debug, Clone)]
pub(crate) struct Rates<'a> {
    /// By distinct initial rate; the first is that of the optimiser.
    chains: Vec<LrChain<'a>>,
    epochs_done: u32,
}

impl<'a> Rates<'a> {
    /// Returns the rates before the first epoch, which has `steps_per_epoch` steps.
    ///
    /// # Errors
    /// If `paramwise_cfg` does not fit the network.
    pub(crate) fn new(params: &'a TrainParams, graph: &Graph, steps_per_epoch: usize) -> Result<Self, LearnError> {
        let groups = groups(params, graph)?;
        let chain = |initial: &f64| LrChain::new(params.scaled_lr(*initial), &params.param_scheduler, steps_per_epoch);
        Ok(Self { chains: groups.initial_rates().iter().map(chain).collect(), epochs_done: 0 })
    }

    /// Returns the rate of each step of the next epoch, by distinct initial rate.
    ///
    /// # Errors
    /// [`TrainError::Rate`] for a rate below 0 or one that is not finite.
    pub(crate) fn next_epoch(&mut self, num_steps: usize) -> Result<Vec<Vec<f64>>, StageError> {
        let epoch = self.epochs_done;
        self.epochs_done += 1;
        let rates: Vec<Vec<f64>> = self.chains.iter_mut().map(|chain| chain.next_epoch(num_steps)).collect();
        rates.iter().try_for_each(|rates| check_rates(epoch, rates))?;
        Ok(rates)
    }

    /// Lets the schedules that monitor a metric react to the validation after the last epoch.
    pub(crate) fn validated(&mut self, figures: &Figures) {
        self.chains.iter_mut().for_each(|chain| chain.validated(figures));
    }
}

/// Returns the settings of all tensors.
///
/// # Errors
/// If `paramwise_cfg` does not fit the network.
pub(crate) fn groups(params: &TrainParams, graph: &Graph) -> Result<ParamGroups, LearnError> {
    let tensors = TrainedTensor::of(&params.model.backbone, graph);
    Ok(ParamGroups::new(&params.optim_wrapper, &tensors)?)
}

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
/// are among the parameters of an epoch then, and from the epochs before. Tensors with other rates than the optimiser's add a digest of
/// theirs.
///
/// # Errors
/// [`TrainError::Rate`] for a rate below 0 or one that is not finite.
pub(crate) fn fields_of_rates(
    params: &TrainParams,
    samples: &Samples,
    graph: &Graph,
) -> Result<Vec<Fields>, StageError> {
    let mut rates = Rates::new(params, graph, samples.steps_per_epoch())?;
    let of_epoch = |epoch| {
        if params.lr_depends_on_metrics() {
            return Ok(vec![field(&["lr"], params.initial_lr().to_string())]);
        }
        let mut rates = rates.next_epoch(samples.num_steps(epoch))?.into_iter();
        let base = rates.next().unwrap_or_default();
        let mut fields = vec![field(&["lr"], base.first().copied().unwrap_or_default().to_string())];
        if base.windows(2).any(|pair| pair[0].to_bits() != pair[1].to_bits()) {
            fields.push(field(&["lr_of_steps"], digest(base)));
        }
        let others: Vec<f64> = rates.flatten().collect();
        if !others.is_empty() {
            fields.push(field(&["lr_of_other_tensors"], digest(others)));
        }
        Ok(fields)
    };
    (0..samples.num_epochs()).map(of_epoch).collect()
}

/// Returns the digest of the bits of learning rates.
fn digest(rates: Vec<f64>) -> String {
    let bytes: Vec<u8> = rates.into_iter().flat_map(|rate| rate.to_bits().to_le_bytes()).collect();
    blake3::hash(&bytes).to_hex().to_string()
}

/// Checks the rates of an epoch. Where a rate is subtracted from itself, rounding may leave a little less than 0.
///
/// # Errors
/// [`TrainError::Rate`] for the first that is below 0 or not finite.
fn check_rates(epoch: u32, rates: &[f64]) -> Result<(), StageError> {
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
