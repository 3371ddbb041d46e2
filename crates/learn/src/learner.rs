//! [`Learner`]: trains a network, epoch by epoch.

use crate::clip_grad::clip_gradients;
use crate::error::{At, LearnError};
use crate::kernels::TrainingStep;
use crate::losses::criterion;
use crate::totals::{EpochTotals, num_correct};
use crate::{EpochResult, Network, Normalisation, Optimizer, StepResult};
use pipe_clips::{Batch, ClipError, ClipSize};
use pipe_graph::Auxiliary;
use pipe_schemas::losses::Loss;
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::Labelling;
use pipe_weights::{Checkpoint, write_safetensors};
use std::path::Path;
use std::time::Instant;
use tch::{TchError, Tensor};

/// Trains a network, epoch by epoch.
#[derive(Debug)]
pub struct Learner {
    network: Network,
    /// The network's tensors except for its running statistics. They share memory with the network.
    weights: Vec<Tensor>,
    optimizer: Optimizer,
    loss: Loss,
    max_norm: Option<f64>,
    normalisation: Normalisation,
    seed: u64,
}

/// An epoch to train.
#[derive(Debug, Clone, Copy)]
pub struct Epoch<'a> {
    /// Counted from 0.
    pub index: u32,
    /// The learning rate of each step. Steps beyond the list have the last one.
    pub learning_rates: &'a [f64],
    /// The size of all clips.
    pub clip_size: ClipSize,
}

impl Learner {
    /// Returns a learner for `network` before its first step.
    pub fn new(network: Network, params: &TrainParams, labelling: Labelling) -> Self {
        let weights = network.trained().map(|(_, tensor)| tensor.shallow_clone()).collect();
        Self {
            network,
            weights,
            optimizer: Optimizer::new(&params.optim_wrapper.optimizer),
            loss: params.loss(labelling),
            max_norm: params.optim_wrapper.clip_grad.as_ref().map(|clip| clip.max_norm),
            normalisation: Normalisation::new(&params.model.data_preprocessor),
            seed: params.seed,
        }
    }

    /// Returns the network as it is now.
    pub fn network(&self) -> &Network {
        &self.network
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
        Ok(totals.result(epoch.learning_rates))
    }

    fn step(&mut self, epoch: Epoch, batch: &Batch, totals: &mut EpochTotals) -> Result<StepResult, LearnError> {
        let (step, index) = (totals.num_steps, epoch.index);
        self.check_labels(batch)?;
        let clips = self.normalisation.clips(batch, epoch.clip_size)?;
        let training_step = TrainingStep { seed: self.seed, epoch: index, step };
        let (logits, auxiliary) = self.network.forward_training(&clips, training_step)?;
        let loss = self.loss(&logits, auxiliary.as_ref(), batch).at("the loss")?;
        let loss_value = loss.double_value(&[]);
        if !loss_value.is_finite() {
            return Err(LearnError::Diverged { what: "loss", epoch: index, step });
        }
        let mut gradients = Tensor::f_run_backward(&[loss], &self.weights, false, false).at("the gradient")?;
        let grad_norm = clip_gradients(&mut gradients, self.max_norm);
        if !grad_norm.is_finite() {
            return Err(LearnError::Diverged { what: "gradient", epoch: index, step });
        }
        let rates = epoch.learning_rates;
        let lr = rates.get(step).or(rates.last()).copied().unwrap_or(0.0);
        self.optimizer.step(lr, &mut self.weights, gradients);
        let num_correct = num_correct(&logits, batch).at("the accuracy")?;
        Ok(totals.add(batch.num_clips, lr, loss_value, num_correct, grad_norm))
    }

    /// Returns the loss of the logits, plus that of the auxiliary classifier times its weight.
    fn loss(&self, logits: &Tensor, auxiliary: Option<&Tensor>, batch: &Batch) -> Result<Tensor, TchError> {
        let loss = criterion(&self.loss).loss(logits, batch)?;
        match (auxiliary, self.network.graph().auxiliary) {
            (Some(logits), Some(Auxiliary { loss_weight, .. })) => {
                loss.f_add(&criterion(&self.loss).loss(logits, batch)?.f_mul_scalar(loss_weight)?)
            }
            _ => Ok(loss),
        }
    }

    fn check_labels(&self, batch: &Batch) -> Result<(), LearnError> {
        let num_classes = self.network.num_classes();
        let out_of_range = |label: &&i64| !(0..num_classes as i64).contains(*label);
        match batch.class_indices.iter().chain(&batch.mix_class_indices).find(out_of_range) {
            Some(&class_index) => Err(LearnError::Label { class_index, num_classes }),
            None => Ok(()),
        }
    }

    /// Writes the state from which [`Self::restore`] continues: the tensors of the network and of the optimiser.
    pub fn save(&self, path: &Path) -> Result<(), LearnError> {
        let named = |(name, tensor): (String, _)| (format!("network.{name}"), tensor);
        let mut tensors: std::collections::BTreeMap<_, _> = self.network.tensors().into_iter().map(named).collect();
        let state = self.optimizer.tensors(self.network.trained().map(|(name, _)| name));
        tensors.extend(state.into_iter().map(|(name, tensor)| (format!("optimizer.{name}"), tensor)));
        Ok(write_safetensors(path, &tensors)?)
    }

    /// Continues from a state that [`Self::save`] wrote. The epochs that follow give the same results as without the break.
    pub fn restore(&mut self, path: &Path) -> Result<(), LearnError> {
        let (mut network, mut state) = (Checkpoint::default(), Checkpoint::default());
        for (name, tensor) in Checkpoint::open(path)?.tensors {
            if let Some(name) = name.strip_prefix("network.") {
                network.tensors.insert(name.to_owned(), tensor);
            } else if let Some(name) = name.strip_prefix("optimizer.") {
                state.tensors.insert(name.to_owned(), tensor);
            }
        }
        let report = self.network.load(network)?;
        let mut missing = report.reinitialised;
        missing.extend(self.optimizer.restore(self.network.trained(), &state.tensors));
        if missing.is_empty() { Ok(()) } else { Err(LearnError::Incomplete { path: path.into(), missing }) }
    }
}
