//! [`Learner`]: moves the tensors of a network, epoch by epoch.

use crate::error::{At, LearnError};
use crate::kernels::TrainingStep;
use crate::optimizer::clip_gradients;
use crate::{Network, Normalisation, Optimizer, learning_rate};
use pipe_clips::{Batch, ClipError, ClipSize};
use pipe_schemas::stages::train::{Scheduler, TrainParams};
use pipe_weights::{Checkpoint, write_safetensors};
use std::path::Path;
use tch::{Kind, Reduction, Tensor};

/// Moves the tensors of a network, epoch by epoch.
#[derive(Debug)]
pub struct Learner {
    network: Network,
    /// The same tensors as the network's, without its running statistics.
    trained: Vec<Tensor>,
    optimizer: Optimizer,
    schedulers: Vec<Scheduler>,
    max_norm: Option<f64>,
    normalisation: Normalisation,
    seed: u64,
}

/// How an epoch goes, after each of its steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// From 0.
    pub step: usize,
    /// Clips of the epoch so far.
    pub num_clips: usize,
    /// Mean cross-entropy of these clips, each as it was when its step came; of several labels the binary one, a class.
    pub loss: f64,
    /// Share of these clips right: the highest class is their label, or one of several.
    pub top1: f64,
}

/// How an epoch went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochResult {
    /// Learning rate.
    pub lr: f64,
    /// Mean cross-entropy over the clips, each as it was when its step came.
    pub loss: f64,
    /// Share of clips right, likewise.
    pub top1: f64,
    /// Mean 2-norm of the gradient before clipping.
    pub grad_norm: f64,
}

/// Sums over an epoch.
#[derive(Default)]
struct Sums {
    steps: usize,
    clips: usize,
    loss: f64,
    right: f64,
    grad_norm: f64,
}

impl Learner {
    /// Makes a learner for `network` that has not made a step.
    pub fn new(network: Network, params: &TrainParams) -> Self {
        let trained = network.trained().map(|(_, tensor)| tensor.shallow_clone()).collect();
        Self {
            network,
            trained,
            optimizer: Optimizer::new(&params.optim_wrapper.optimizer),
            schedulers: params.param_scheduler.clone(),
            max_norm: params.optim_wrapper.clip_grad.as_ref().map(|clip| clip.max_norm),
            normalisation: Normalisation::new(&params.model.data_preprocessor),
            seed: params.seed,
        }
    }

    /// Returns the network as it is now.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Returns the learning rate of `epoch`, from 0.
    pub fn lr(&self, epoch: u32) -> f64 {
        learning_rate(self.optimizer.params(), &self.schedulers, epoch)
    }

    /// Makes a step with each batch. `after_step` may stop it with an error of its own.
    ///
    /// # Errors
    /// [`LearnError::Diverged`] as soon as a loss or gradient is not finite.
    pub fn train_epoch<E: From<LearnError>>(
        &mut self,
        epoch: u32,
        size: ClipSize,
        batches: impl Iterator<Item = Result<Batch, ClipError>>,
        mut after_step: impl FnMut(Step) -> Result<(), E>,
    ) -> Result<EpochResult, E> {
        let lr = self.lr(epoch);
        let mut sums = Sums::default();
        for batch in batches {
            let batch = batch.map_err(LearnError::from)?;
            self.step(epoch, lr, size, &batch, &mut sums)?;
            after_step(sums.step())?;
        }
        let Step { loss, top1, .. } = sums.step();
        Ok(EpochResult { lr, loss, top1, grad_norm: sums.grad_norm / sums.steps.max(1) as f64 })
    }

    fn step(&mut self, epoch: u32, lr: f64, size: ClipSize, batch: &Batch, sums: &mut Sums) -> Result<(), LearnError> {
        let step = sums.steps;
        let num_classes = self.network.num_classes();
        let in_range = |label: &&i64| !(0..num_classes as i64).contains(*label);
        if let Some(&class_index) = batch.class_indices.iter().chain(&batch.mix_class_indices).find(in_range) {
            return Err(LearnError::Label { class_index, num_classes });
        }
        let clips = self.normalisation.clips(batch, size)?;
        let logits = self.network.forward(&clips, Some(TrainingStep { seed: self.seed, epoch, step }))?;
        let loss = loss(&logits, batch)?;
        let loss_value = loss.double_value(&[]);
        if !loss_value.is_finite() {
            return Err(LearnError::Diverged { what: "loss", epoch, step });
        }
        let mut gradients = Tensor::f_run_backward(&[loss], &self.trained, false, false).at("the gradient")?;
        let grad_norm = clip_gradients(&mut gradients, self.max_norm);
        if !grad_norm.is_finite() {
            return Err(LearnError::Diverged { what: "gradient", epoch, step });
        }
        self.optimizer.step(lr, &mut self.trained, gradients);
        sums.steps += 1;
        sums.clips += batch.num_clips;
        sums.loss += loss_value * batch.num_clips as f64;
        sums.right += right(&logits, batch)?;
        sums.grad_norm += grad_norm;
        Ok(())
    }

    /// Writes all that training goes on from: the network's tensors and what the optimiser keeps.
    pub fn save(&self, path: &Path) -> Result<(), LearnError> {
        let named = |(name, tensor): (String, _)| (format!("network.{name}"), tensor);
        let mut tensors: std::collections::BTreeMap<_, _> = self.network.tensors().into_iter().map(named).collect();
        let state = self.optimizer.tensors(self.network.trained().map(|(name, _)| name));
        tensors.extend(state.into_iter().map(|(name, tensor)| (format!("optimizer.{name}"), tensor)));
        Ok(write_safetensors(path, &tensors)?)
    }

    /// Goes on from what [`Self::save`] wrote: the epochs that follow give what they would have given without the break.
    pub fn restore(&mut self, path: &Path) -> Result<(), LearnError> {
        let (mut network, mut state) = (Checkpoint::default(), Checkpoint::default());
        for (name, tensor) in Checkpoint::open(path)?.tensors {
            if let Some(name) = name.strip_prefix("network.") {
                network.tensors.insert(name.to_owned(), tensor);
            } else if let Some(name) = name.strip_prefix("optimizer.") {
                state.tensors.insert(name.to_owned(), tensor);
            }
        }
        let report = self.network.load(&network)?;
        let mut missing = report.reinitialised;
        missing.extend(self.optimizer.restore(self.network.trained(), &state.tensors));
        if missing.is_empty() { Ok(()) } else { Err(LearnError::Incomplete { path: path.into(), missing }) }
    }
}

impl Sums {
    /// Returns how it stands after the last step.
    fn step(&self) -> Step {
        let clips = self.clips.max(1) as f64;
        Step {
            step: self.steps.saturating_sub(1),
            num_clips: self.clips,
            loss: self.loss / clips,
            top1: self.right / clips,
        }
    }
}

/// Returns what training lowers.
fn loss(logits: &Tensor, batch: &Batch) -> Result<Tensor, LearnError> {
    if batch.targets.is_empty() {
        return blended_cross_entropy(logits, &Tensor::from_slice(&batch.class_indices), batch);
    }
    binary_cross_entropy(logits, &Tensor::from_slice(&batch.targets))
}

/// Returns how many clips have their highest class right. Of several labels, blended ones count by their share.
fn right(logits: &Tensor, batch: &Batch) -> Result<f64, LearnError> {
    let count = || {
        let highest = logits.f_argmax(1, true)?;
        let right = if batch.targets.is_empty() {
            highest.f_squeeze_dim(1)?.f_eq_tensor(&Tensor::from_slice(&batch.class_indices))?
        } else {
            Tensor::from_slice(&batch.targets).f_view_as(logits)?.f_gather(1, &highest, false)?
        };
        right.f_sum(Kind::Double)?.f_double_value(&[])
    };
    count().at("the share of clips right")
}

/// Returns the mean over clips and classes of `-(y ln p + (1 - y) ln(1 - p))` with `p` the logistic function of the logit:
/// MMAction2's `BCELossWithLogits`.
fn binary_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor, LearnError> {
    let loss = || {
        let targets = targets.f_view_as(logits)?;
        logits.f_binary_cross_entropy_with_logits(&targets, None::<Tensor>, None::<Tensor>, Reduction::Mean)
    };
    loss().at("the loss")
}

/// Returns the mean over the clips of the cross-entropy with their labels, each shared with that of the clip that it is
/// blended with.
fn blended_cross_entropy(logits: &Tensor, targets: &Tensor, batch: &Batch) -> Result<Tensor, LearnError> {
    if batch.mix_shares.iter().all(|share| *share == 0.0) {
        return cross_entropy(logits, targets);
    }
    let loss = || {
        let log_shares = logits.f_log_softmax(1, Kind::Float)?;
        let of = |targets: &Tensor| log_shares.f_gather(1, &targets.f_unsqueeze(1)?, false)?.f_squeeze_dim(1);
        let (own, other) = (of(targets)?, of(&Tensor::from_slice(&batch.mix_class_indices))?);
        let share = Tensor::from_slice(&batch.mix_shares);
        own.f_lerp_tensor(&other, &share)?.f_mean(Kind::Float)?.f_neg()
    };
    loss().at("the loss")
}

/// Returns the mean over the clips of `-ln softmax(logits)[target]`.
fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor, LearnError> {
    /// A target that PyTorch leaves out; no label is negative.
    const IGNORE_INDEX: i64 = -100;
    logits.f_cross_entropy_loss(targets, None::<Tensor>, Reduction::Mean, IGNORE_INDEX, 0.0).at("the loss")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_of_field_notes() {
        let logits = Tensor::from_slice(&[2.0f32, 1.0, 0.0, 0.0, 0.0, 3.0]).view([2, 3]);
        let loss = cross_entropy(&logits, &Tensor::from_slice(&[0i64, 2])).expect("a loss");
        assert!((loss.double_value(&[]) - 0.25126).abs() < 1e-5);
    }

    #[test]
    fn several_labels_are_questions_of_their_own() {
        let logits = Tensor::from_slice(&[2.0f32, -1.0, 0.0, 0.0, 1.0, 3.0]).view([2, 3]);
        let targets = vec![1.0, 1.0, 0.0, 0.0, 0.5, 0.0];
        let batch = Batch { targets, ..Batch::default() };
        // ln(1 + e^-2), ln(1 + e), ln 2; ln 2, half of ln(1 + e^-1) and ln(1 + e), ln(1 + e^3).
        let cost = |logit: f64| logit.exp().ln_1p();
        let half = f64::midpoint(cost(-1.0), cost(1.0));
        let expect = (cost(-2.0) + cost(1.0) + cost(0.0) + cost(0.0) + half + cost(3.0)) / 6.0;
        let found = loss(&logits, &batch).expect("a loss").double_value(&[]);
        assert!((found - expect).abs() < 1e-5, "{found}, not {expect}");
        // The highest class of the first clip is a label of it, that of the second is none.
        assert!((right(&logits, &batch).expect("a count") - 1.0).abs() < 1e-9);
        let one = Batch { class_indices: vec![0, 1], ..Batch::default() };
        assert!((right(&logits, &one).expect("a count") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn blended_labels_are_shared() {
        let logits = Tensor::from_slice(&[2.0f32, 1.0, 0.0, 0.0, 0.0, 3.0]).view([2, 3]);
        let (targets, others) = (Tensor::from_slice(&[0i64, 2]), [1i64, 2]);
        let batch = Batch { mix_class_indices: others.into(), mix_shares: vec![0.25, 0.0], ..Batch::default() };
        let loss = blended_cross_entropy(&logits, &targets, &batch).expect("a loss");
        // -ln softmax is 0.40761 and, for class 1, 1.40761; of the other clip 0.09492.
        assert!((loss.double_value(&[]) - (0.40761 + 0.25 + 0.09492) / 2.0).abs() < 1e-5);
    }
}
