//! [`Learner`]: trains a network, epoch by epoch.

use crate::averaging::Average;
use crate::clip_grad::clip_gradients;
use crate::error::{At, LearnError};
use crate::gradients::{AccumulatedBatches, Gradients};
use crate::kernels::TrainingStep;
use crate::loss_scaler::{LossScaler, Verdict};
use crate::losses::{Divisor, Labels, Objective};
use crate::low_precision;
use crate::memory::{self, MemoryOfClips};
use crate::memory_format::arrange_weights;
use crate::totals::{EpochTotals, num_correct};
use crate::trained_tensor::TrainedTensor;
use crate::{EpochResult, Freezing, Network, Normalisation, Optimizer, ParamGroups, Piece, ProcessGroup, StepResult};
use pipe_clips::{Batch, ClipError, ClipSize};
use pipe_schemas::stages::train::{ClipGrad, Ema, TrainParams};
use pipe_schemas::tables::Labelling;
use pipe_weights::{Checkpoint, write_safetensors};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tch::{Kind, TchError, Tensor};

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
    /// The processes that train the network together; `None` if this is the only one.
    group: Option<Arc<ProcessGroup>>,
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
    /// The clips of each step that this process shows; empty if it shows all.
    pub pieces: &'a [Piece],
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
        arrange_weights(&network).at("the weights")?;
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
            loss_scaler: amp.map(LossScaler::new),
            group: None,
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

    /// Trains the network together with other processes: each shows its piece of every step, and all make the same steps. `sync_bn` lets batch
    /// normalisations take statistics of the whole step; otherwise each process has its own, and the running statistics are those of the
    /// first one, as in PyTorch's `DistributedDataParallel`.
    pub fn join_group(&mut self, group: Arc<ProcessGroup>, sync_bn: bool) {
        if sync_bn {
            self.network.synchronise_batch_norm(Arc::clone(&group));
        }
        self.group = Some(group);
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
        self.take_tensors_of_the_first().map_err(E::from)?;
        loop {
            let start = Instant::now();
            let Some(batch) = batches.next() else { break };
            let batch = batch.map_err(LearnError::from)?;
            let loaded = Instant::now();
            let result = self.step(epoch, &batch, &mut totals).map_err(LearnError::or_lost)?;
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
        let clips = self.settings.normalisation.clips_on(batch, epoch.clip_size, self.network.device())?;
        let piece = epoch.pieces.get(step).copied().unwrap_or_else(|| Piece::whole(batch.num_clips));
        let training_step = TrainingStep { seed: self.settings.seed, epoch: epoch.index, step, piece };
        let (logits, auxiliary) = self.network.forward_training(&clips, training_step)?;
        let are_blended = self.is_true_in_any_process(batch.has_blended_clips())?;
        let labels =
            Labels::of(batch, are_blended, self.network.num_classes(), self.network.device()).at("the labels")?;
        let share = self.share(piece, &logits, &labels)?;
        let loss = self.loss(&logits, auxiliary.as_ref(), &labels, share).at("the loss")?;
        let batches = AccumulatedBatches::of(step, epoch.num_steps, self.settings.accumulative_counts);
        let scaled = self.loss_scaler.as_ref().map_or_else(|| Ok(loss.shallow_clone()), |scaler| scaler.scale(&loss));
        self.gradients.add(&scaled.at("the loss")?, batches, &self.weights).at("the gradient")?;
        let grad_norm = if batches.is_complete { self.update(epoch, step)? } else { None };
        let is_first = self.group.as_ref().is_none_or(|group| group.rank() == 0);
        if let (Some(average), Some(ema), true) = (&mut self.average, &self.settings.ema, is_first) {
            let begun = ema.has_begun(epoch.index, epoch.steps_before + step as u64);
            average.update(begun, self.network.named_tensors().map(|(_, tensor)| tensor))?;
        }
        let num_correct = num_correct(&logits, batch).at("the accuracy")?;
        let [loss, norm, num_correct] = read(&loss, grad_norm.as_ref(), &num_correct).at("the figures of a step")?;
        let [loss, num_correct] = self.sums([loss, if piece.counts { num_correct } else { 0.0 }])?;
        let grad_norm = grad_norm.map(|_| norm);
        check_finite(loss, grad_norm, epoch.index, step)?;
        Ok(totals.add(piece.num_clips, epoch.rate(0, step), loss, num_correct, grad_norm))
    }

    /// Limits the gradients and makes a step of the optimiser. Returns the norm of the gradients before, as a tensor without axes; `None`
    /// if the step is left out because they overflowed in 16 bits.
    fn update(&mut self, epoch: Epoch, step: usize) -> Result<Option<Tensor>, LearnError> {
        let mut gradients = self.gradients.take();
        if let Some(group) = &self.group {
            // The same weights have a gradient in all processes, because they run the same nodes.
            let defined = gradients.iter().filter(|gradient| gradient.defined());
            let mut defined: Vec<Tensor> = defined.map(Tensor::shallow_clone).collect();
            let _no_grad = tch::no_grad_guard();
            group.all_reduce_together(&mut defined)?;
        }
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

    /// Returns the loss times `share`. A share of 0 gives 0, also where the loss is not defined because all its clips have the weight 0.
    fn loss(
        &self,
        logits: &Tensor,
        auxiliary: Option<&Tensor>,
        labels: &Labels,
        share: Option<f64>,
    ) -> Result<Tensor, TchError> {
        let objective = |logits: &Tensor| match share {
            Some(0.0) => logits.f_mul_scalar(0.0)?.f_sum(logits.kind()),
            _ => self.settings.objective.loss(logits, labels),
        };
        let main = objective(logits)?;
        let auxiliary = auxiliary.map(objective).transpose()?;
        let loss = self.network.total_loss(&main, auxiliary.as_ref())?;
        share.map_or_else(|| Ok(loss.shallow_clone()), |share| loss.f_mul_scalar(share))
    }

    /// Measures the memory of a step on the processor, with the first clips of `batch`. For advice after a failure: the statistics of
    /// batch normalisations change. Returns `None` if that is not possible.
    pub fn memory_of_clips(&self, batch: &Batch, clip_size: ClipSize) -> Option<MemoryOfClips> {
        if self.group.is_some() || self.network.device() != tch::Device::Cpu {
            return None;
        }
        let available = memory::available()?;
        let peak = |num_clips: usize| {
            let mut is_done = false;
            let peak = memory::peak_of(|| is_done = self.gradients_of(batch, num_clips, clip_size).is_ok());
            peak.filter(|_| is_done)
        };
        // From a single clip, a batch normalisation can't always take statistics.
        [(1, 2), (2, 4)].into_iter().filter(|(_, larger)| *larger <= batch.num_clips).find_map(|(smaller, larger)| {
            // The first step also takes what libraries allocate once.
            peak(smaller)?;
            MemoryOfClips::of_peaks((smaller as u64, peak(smaller)?), (larger as u64, peak(larger)?), available)
        })
    }

    /// Computes the gradients of the first clips of a batch.
    fn gradients_of(&self, batch: &Batch, num_clips: usize, clip_size: ClipSize) -> Result<(), LearnError> {
        let clip_bytes = batch.pixels.len() / batch.num_clips.max(1);
        let pixels = batch.pixels[..num_clips * clip_bytes].to_vec();
        let class_indices = batch.class_indices[..num_clips].to_vec();
        let few = Batch { pixels, class_indices, num_clips, ..Batch::default() };
        let clips = self.settings.normalisation.clips(&few, clip_size)?;
        let step = TrainingStep { seed: 0, epoch: 0, step: 0, piece: Piece::whole(num_clips) };
        let (logits, _) = self.network.forward_training(&clips, step)?;
        let loss = logits.f_sum(Kind::Float).at("the loss")?;
        Tensor::f_run_backward(&[loss], &self.weights, false, false).at("the gradient").map(drop)
    }

    /// Takes over the tensors of the first process, so that machines that round differently do not drift apart.
    fn take_tensors_of_the_first(&mut self) -> Result<(), LearnError> {
        let Some(group) = &self.group else { return Ok(()) };
        let _no_grad = tch::no_grad_guard();
        let mut tensors: Vec<Tensor> = self.network.named_tensors().map(|(_, tensor)| tensor.detach()).collect();
        group.broadcast_together(&mut tensors)
    }

    /// Returns the factor of the loss of a piece with which the losses of all pieces add up to that of the step; `None` if there is one
    /// piece.
    fn share(&self, piece: Piece, logits: &Tensor, labels: &Labels) -> Result<Option<f64>, LearnError> {
        let Some(group) = &self.group else { return Ok(None) };
        let own = match self.settings.objective.divisor(logits, labels).at("the loss")? {
            Divisor::One => return Ok(Some(f64::from(u8::from(piece.counts)))),
            Divisor::Clips => return Ok(Some(piece.share())),
            Divisor::Weights(sum) => sum.f_double_value(&[]).at("the loss")?,
        };
        let own = if piece.counts { own } else { 0.0 };
        let mut total = Tensor::from_slice(&[own]);
        group.all_reduce(&mut total)?;
        Ok(Some(own / total.double_value(&[0])))
    }

    fn is_true_in_any_process(&self, own: bool) -> Result<bool, LearnError> {
        let [count, _] = self.sums([f64::from(u8::from(own)), 0.0])?;
        Ok(count > 0.0)
    }

    /// Returns the sums over all processes.
    fn sums(&self, own: [f64; 2]) -> Result<[f64; 2], LearnError> {
        let Some(group) = &self.group else { return Ok(own) };
        let mut sums = Tensor::from_slice(&own);
        group.all_reduce(&mut sums)?;
        Ok([0, 1].map(|at| sums.double_value(&[at])))
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
