//! [`Learner`]: trains a network, epoch by epoch.

use crate::averaging::Average;
use crate::clip_grad::clip_gradients;
use crate::error::{At, LearnError};
use crate::gradients::{AccumulatedBatches, Gradients};
use crate::kernels::TrainingStep;
use crate::loss_scaler::{LossScaler, Verdict};
use crate::losses::{Labels, Objective};
use crate::low_precision;
use crate::totals::{EpochTotals, num_correct};
use crate::trained_tensor::TrainedTensor;
use crate::{EpochResult, Freezing, Network, Normalisation, Optimizer, ParamGroups, StepResult};
use pipe_clips::{Batch, ClipError, ClipSize};
use pipe_schemas::stages::train::{ClipGrad, Ema, TrainParams};
use pipe_schemas::tables::Labelling;
use pipe_weights::{Checkpoint, write_safetensors};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, TchError, Tensor};

/// Trains a network, epoch by epoch.
#[derive(Debug)]
pub struct Learner {
    network: Network,
    /// The network's tensors that are trained. They share memory with the network.
    weights: Vec<Tensor>,
    optimizer: Optimizer,
    /// For each weight, which of the learning rates of an epoch is its own.
    rate_indices: Vec<usize>,
    gradients: Gradients,
    average: Option<Average>,
    /// For mixed precision.
    loss_scaler: Option<LossScaler>,
    settings: Settings,
    /// What is frozen, and the groups of tensors.
    lines: Vec<String>,
}

/// Parameters of training.
#[derive(Debug)]
struct Settings {
    objective: Objective,
    clip_grad: Option<ClipGrad>,
    accumulative_counts: usize,
    ema: Option<Ema>,
    normalisation: Normalisation,
    seed: u64,
}

/// An epoch to train.
#[derive(Debug, Clone, Copy)]
pub struct Epoch<'a> {
    /// Counted from 0.
    pub index: u32,
    /// The learning rate of each step, for each of [`ParamGroups::initial_rates`]. Steps beyond a list have its last one.
    pub learning_rates: &'a [Vec<f64>],
    /// The size of all clips.
    pub clip_size: ClipSize,
    /// Number of batches of the epoch.
    pub num_steps: usize,
    /// Number of batches of the epochs before it.
    pub steps_before: u64,
}

impl Learner {
    /// Returns a learner for `network` before its first step.
    ///
    /// # Errors
    /// If `freeze` or `paramwise_cfg` does not fit the network.
    pub fn new(mut network: Network, params: &TrainParams, labelling: Labelling) -> Result<Self, LearnError> {
        let backbone = &params.model.backbone;
        let freezing = Freezing::new(backbone, network.graph(), params.freeze.as_ref())?;
        let tensors = TrainedTensor::of(backbone, network.graph());
        let groups = ParamGroups::new(&params.optim_wrapper, &tensors)?;
        let lines = [freezing.lines(network.graph()), groups.lines()].concat();
        network.freeze(freezing);
        let amp = params.optim_wrapper.amp();
        network.set_low_precision(amp.map(|amp| low_precision::kind(amp.dtype)));
        let trained: Vec<usize> = network.positions_of_trained();
        let weight_decays = trained.iter().map(|position| groups.groups()[*position].weight_decay).collect();
        let rate_indices = groups.rate_indices();
        let average = params.ema.as_ref().map(|ema| Average::new(ema, network.with_roles())).transpose()?;
        Ok(Self {
            weights: network.trained().map(|(_, tensor)| tensor.shallow_clone()).collect(),
            optimizer: Optimizer::new(&params.optim_wrapper.optimizer, weight_decays),
            rate_indices: trained.iter().map(|position| rate_indices[*position]).collect(),
            gradients: Gradients::default(),
            average,
            loss_scaler: amp.map(|amp| LossScaler::new(amp.loss_scale)),
            settings: Settings {
                objective: Objective::new(params.loss(labelling), &params.model.cls_head),
                clip_grad: params.optim_wrapper.clip_grad.clone(),
                accumulative_counts: params.optim_wrapper.accumulative_counts.max(1) as usize,
                ema: params.ema.clone(),
                normalisation: Normalisation::new(&params.model.data_preprocessor),
                seed: params.seed,
            },
            network,
            lines,
        })
    }

    /// Describes what is frozen, and which tensors have other learning rates or weight decays than the optimiser; empty if all tensors
    /// are trained alike.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Returns the network as it is now, without averaging.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Returns the network to evaluate: with the average of the weights if `ema` is given, otherwise as it is now. Its tensors are those
    /// of the learner, not copies.
    pub fn evaluated(&self) -> Result<Network, LearnError> {
        match &self.average {
            Some(average) => Ok(average.network(&self.network)),
            None => self.network.with_graph(self.network.graph().clone()),
        }
    }

    /// Makes a step with each batch. `after_step` may stop the epoch with an error of its own.
    ///
    /// # Errors
    /// [`LearnError::Diverged`] as soon as a loss or gradient is not finite.
    pub fn train_epoch<E: From<LearnError>>(
        &mut self,
        epoch: Epoch,
        mut batches: impl Iterator<Item = Result<Batch, ClipError>>,
        mut after_step: impl FnMut(StepResult) -> Result<(), E>,
    ) -> Result<EpochResult, E> {
        let mut totals = EpochTotals::default();
        loop {
            let start = Instant::now();
            let Some(batch) = batches.next() else { break };
            let batch = batch.map_err(LearnError::from)?;
            let loaded = Instant::now();
            let result = self.step(epoch, &batch, &mut totals)?;
            after_step(StepResult {
                data_secs: (loaded - start).as_secs_f64(),
                compute_secs: loaded.elapsed().as_secs_f64(),
                ..result
            })?;
        }
        Ok(totals.result(epoch.base_rates()))
    }

    fn step(&mut self, epoch: Epoch, batch: &Batch, totals: &mut EpochTotals) -> Result<StepResult, LearnError> {
        let step = totals.num_steps;
        self.check_labels(batch)?;
        let clips = self.settings.normalisation.clips(batch, epoch.clip_size)?;
        let training_step = TrainingStep { seed: self.settings.seed, epoch: epoch.index, step };
        let (logits, auxiliary) = self.network.forward_training(&clips, training_step)?;
        let labels = Labels::of(batch, self.network.num_classes(), Device::Cpu).at("the labels")?;
        let loss = self.loss(&logits, auxiliary.as_ref(), &labels).at("the loss")?;
        let batches = AccumulatedBatches::of(step, epoch.num_steps, self.settings.accumulative_counts);
        let scaled = self.loss_scaler.as_ref().map_or_else(|| Ok(loss.shallow_clone()), |scaler| scaler.scale(&loss));
        self.gradients.add(&scaled.at("the loss")?, batches, &self.weights).at("the gradient")?;
        let grad_norm = if batches.is_complete { self.update(epoch, step)? } else { None };
        if let (Some(average), Some(ema)) = (&mut self.average, &self.settings.ema) {
            let begun = ema.has_begun(epoch.index, epoch.steps_before + step as u64);
            average.update(begun, self.network.named_tensors().map(|(_, tensor)| tensor))?;
        }
        let num_correct = num_correct(&logits, batch).at("the accuracy")?;
        let [loss, norm, num_correct] = read(&loss, grad_norm.as_ref(), &num_correct).at("the figures of a step")?;
        let grad_norm = grad_norm.map(|_| norm);
        check_finite(loss, grad_norm, epoch.index, step)?;
        Ok(totals.add(batch.num_clips, epoch.rate(0, step), loss, num_correct, grad_norm))
    }

    /// Limits the gradients and makes a step of the optimiser. Returns the norm of the gradients before, as a tensor without axes; `None`
    /// if the step is left out because they overflowed in 16 bits.
    fn update(&mut self, epoch: Epoch, step: usize) -> Result<Option<Tensor>, LearnError> {
        let mut gradients = self.gradients.take();
        let norm = {
            let _no_grad = tch::no_grad_guard();
            if let Some(scaler) = &self.loss_scaler {
                scaler.unscale(&mut gradients).at("the gradient")?;
            }
            clip_gradients(&mut gradients, self.settings.clip_grad.as_ref()).at("the norm of gradients")?
        };
        match self.loss_scaler.as_mut().map_or(Ok(Verdict::Step), |scaler| scaler.update(&norm)).at("the gradient")? {
            Verdict::Step => {}
            Verdict::LeaveOut => return Ok(None),
            Verdict::Diverged => return Err(LearnError::Diverged { what: "gradient", epoch: epoch.index, step }),
        }
        let rates: Vec<f64> = self.rate_indices.iter().map(|index| epoch.rate(*index, step)).collect();
        self.optimizer.step(&rates, &mut self.weights, gradients)?;
        Ok(Some(norm))
    }

    fn loss(&self, logits: &Tensor, auxiliary: Option<&Tensor>, labels: &Labels) -> Result<Tensor, TchError> {
        let main = self.settings.objective.loss(logits, labels)?;
        let auxiliary = auxiliary.map(|logits| self.settings.objective.loss(logits, labels)).transpose()?;
        self.network.total_loss(&main, auxiliary.as_ref())
    }

    fn check_labels(&self, batch: &Batch) -> Result<(), LearnError> {
        let num_classes = self.network.num_classes();
        let out_of_range = |label: &&i64| !(0..num_classes as i64).contains(*label);
        match batch.class_indices.iter().chain(&batch.mix_class_indices).find(out_of_range) {
            Some(&class_index) => Err(LearnError::Label { class_index, num_classes }),
            None => Ok(()),
        }
    }

    /// Writes the state from which [`Self::restore`] continues: the tensors of the network, of the optimiser, of the average and of the
    /// loss scale.
    pub fn save(&self, path: &Path) -> Result<(), LearnError> {
        let mut tensors = BTreeMap::new();
        let mut add = |part: &str, state: BTreeMap<String, pipe_weights::Tensor>| {
            tensors.extend(state.into_iter().map(|(name, tensor)| (format!("{part}.{name}"), tensor)));
        };
        add("network", self.network.tensors());
        add("optimizer", self.optimizer.tensors(self.network.trained().map(|(name, _)| name)));
        if let Some(average) = &self.average {
            add("ema", average.state());
        }
        if let Some(scaler) = &self.loss_scaler {
            add("loss_scaler", scaler.state());
        }
        Ok(write_safetensors(path, &tensors)?)
    }

    /// Continues from a state that [`Self::save`] wrote. The epochs that follow give the same results as without the break.
    pub fn restore(&mut self, path: &Path) -> Result<(), LearnError> {
        let [mut network, mut optimizer, mut ema, mut loss_scaler] = [(); 4].map(|()| Checkpoint::default());
        for (name, tensor) in Checkpoint::open(path)?.tensors {
            match name.split_once('.') {
                Some(("network", name)) => network.tensors.insert(name.to_owned(), tensor),
                Some(("optimizer", name)) => optimizer.tensors.insert(name.to_owned(), tensor),
                Some(("ema", name)) => ema.tensors.insert(name.to_owned(), tensor),
                Some(("loss_scaler", name)) => loss_scaler.tensors.insert(name.to_owned(), tensor),
                Some(_) | None => None,
            };
        }
        let report = self.network.load(network)?;
        let mut missing = report.reinitialised;
        missing.extend(self.optimizer.restore(self.network.trained(), &optimizer.tensors));
        if let Some(average) = &mut self.average {
            missing.extend(average.restore(&ema.tensors, self.network.named_tensors().map(|(_, tensor)| tensor)));
        }
        if let Some(scaler) = &mut self.loss_scaler {
            missing.extend(scaler.restore(&loss_scaler.tensors));
        }
        if missing.is_empty() { Ok(()) } else { Err(LearnError::Incomplete { path: path.into(), missing }) }
    }
}

impl Epoch<'_> {
    /// Returns a learning rate of a step.
    fn rate(&self, index: usize, step: usize) -> f64 {
        let rates = self.learning_rates.get(index).map(Vec::as_slice).unwrap_or_default();
        rates.get(step).or(rates.last()).copied().unwrap_or(0.0)
    }

    /// Returns the learning rates of tensors with the optimiser's own.
    fn base_rates(&self) -> &[f64] {
        self.learning_rates.first().map(Vec::as_slice).unwrap_or_default()
    }
}

/// Reads the figures of a step from the device at once: the loss, the norm of gradients, which is the loss again if it is not known yet, and
/// the number of correct clips.
fn read(loss: &Tensor, grad_norm: Option<&Tensor>, num_correct: &Tensor) -> Result<[f64; 3], TchError> {
    let as_f64 = |tensor: &Tensor| tensor.detach().f_to_kind(Kind::Double);
    let norm = as_f64(grad_norm.unwrap_or(loss))?;
    let figures = Tensor::f_stack(&[as_f64(loss)?, norm, as_f64(num_correct)?], 0)?;
    let mut values = [0.0; 3];
    figures.f_to_device(tch::Device::Cpu)?.f_copy_data(&mut values, 3)?;
    Ok(values)
}

fn check_finite(loss: f64, grad_norm: Option<f64>, epoch: u32, step: usize) -> Result<(), LearnError> {
    let what = match grad_norm {
        _ if !loss.is_finite() => "loss",
        Some(norm) if !norm.is_finite() => "gradient",
        Some(_) | None => return Ok(()),
    };
    Err(LearnError::Diverged { what, epoch, step })
}
