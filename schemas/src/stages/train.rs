//! `train`: fits a network to the training samples.
//!
//! Each topic of the parameters has a file below, which also states what of it determines the result of an epoch; see
//! [`EpochFields`].

mod amp;
mod auto_scale_lr;
mod checkpoint;
mod clip_grad;
mod compute;
mod dataloader;
mod early_stopping;
mod ema;
mod epoch_fields;
mod freeze;
mod learning_rate;
mod load_from;
mod model;
mod optimizer;
mod paramwise;
mod schedules;
mod train_cfg;

pub use amp::{Amp, AmpDtype, LossScale, WrapperType};
pub use auto_scale_lr::AutoScaleLr;
pub use checkpoint::{CheckpointParams, KeepStates};
pub use clip_grad::{ClipGrad, ClipType, NormType};
pub use compute::{ComputeDevice, NumProcesses};
pub use dataloader::DataloaderParams;
pub use early_stopping::EarlyStopping;
pub use ema::{Ema, EmaType};
pub use epoch_fields::{EpochContext, EpochFields};
pub use freeze::Freeze;
pub use learning_rate::{Auto, LearningRate};
pub use load_from::LoadFrom;
pub use optimizer::*;
pub use paramwise::{Constructor, CustomKey, DecayType, ParamwiseCfg};
pub use schedules::*;
pub use train_cfg::TrainCfg;

use crate::contract::{
    Check, Contract, InputChoice, InputPort, Numerics, OutputPort, ParamError, Params, Parts, PortType, SourceSet,
    Tolerance, Tool, Worker, parse, schema,
};
use crate::losses::Loss;
use crate::networks::ModelParams;
use crate::tables::Labelling;
use epoch_fields::{json, object};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Contract of `train`.
pub const CONTRACT: Contract = Contract {
    kind: "train",
    version: 10,
    summary: "trains a network of the zoo, from scratch or from published weights",
    worker: Some(Worker::Torch),
    open_ports: None,
    inputs: &[
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
        InputPort { name: "weights", port_type: PortType::Folder, required: false, or_param: None },
        InputPort { name: "model", port_type: PortType::Model, required: false, or_param: None },
        InputPort { name: "lr", port_type: PortType::LearningRate, required: false, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "model", port_type: PortType::Model, path: "model" },
        OutputPort { name: "last", port_type: PortType::Model, path: "last" },
        OutputPort { name: "log", port_type: PortType::TrainingLog, path: "training_log.parquet" },
        OutputPort { name: "steps", port_type: PortType::TrainingSteps, path: "training_steps.parquet" },
        OutputPort { name: "tensorboard", port_type: PortType::TensorBoard, path: "tensorboard" },
    ],
    parts: Some(Parts::Chain),
    numerics: Numerics::FloatingPoint(Tolerance { relative: 0.05, absolute: 0.02 }),
    check: Check::Never,
    tools: &[Tool::Libtorch, Tool::LibjpegTurbo],
    schema: schema::<TrainParams>,
    parse: parse::<TrainParams>,
};

/// Parameters of `train`. Names are those of MMEngine and MMAction2.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainParams {
    /// The network.
    pub model: ModelParams,
    /// How training clips are grouped into batches.
    pub train_dataloader: DataloaderParams,
    /// The optimiser and what is done to gradients before its step.
    pub optim_wrapper: OptimWrapper,
    /// How the learning rate changes. Each schedule changes the rate that those before it have left. Default: it is constant.
    pub param_scheduler: Vec<Scheduler>,
    /// For how many clips per step the learning rate was chosen. Default: for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_scale_lr: Option<AutoScaleLr>,
    /// The length of training, and when the network is validated.
    pub train_cfg: TrainCfg,
    /// An average of the weights, which validations and the trained model use. Default: the newest weights.
    pub ema: Option<Ema>,
    /// The part of the network that is not trained. Default: all of it is trained.
    pub freeze: Option<Freeze>,
    /// Ends training when a metric stops improving. Default: all epochs are trained.
    pub early_stopping: Option<EarlyStopping>,
    /// Which epoch the output `model` is from, and which states of training are kept.
    pub checkpoint: CheckpointParams,
    /// Published weights to start from. If the input `weights` is connected to a stage that fetches the file, leave out `checkpoint`.
    /// Default: random weights.
    pub load_from: Option<LoadFrom>,
    /// Seed of the initial weights and of dropout. Default: 0.
    pub seed: u64,
    /// Number of processes that train the network together. Each shows `batch_size` clips per step, so that a step has `num_processes` times
    /// as many. Default: 1.
    #[serde(skip_serializing_if = "NumProcesses::is_one")]
    pub num_processes: NumProcesses,
    /// With several processes: whether batch normalisations take statistics of the clips of all processes, as MMEngine's `sync_bn` and
    /// `norm_cfg: { type: SyncBN }`. Default: each process has its own statistics.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sync_bn: bool,
    /// Number of threads that each process computes with. The last digits of results depend on it. Default: the threads that the stage is
    /// granted, see `resources: { cpus: N }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub threads: Option<u32>,
    /// The device to compute on: `auto`, `cpu` or `cuda:N`. It does not decide whether a result exists already. Default: `auto`, a GPU of
    /// `resources: { gpus: N }` if there is one, otherwise the processor.
    #[serde(skip_serializing_if = "ComputeDevice::is_auto")]
    pub device: ComputeDevice,
}

impl TrainParams {
    /// Returns the number of clips that a step of the optimiser learns from.
    pub fn clips_per_step(&self) -> u32 {
        self.clips_per_batch().saturating_mul(self.optim_wrapper.accumulative_counts)
    }

    /// Returns the number of clips that all processes together show between two gradients.
    pub fn clips_per_batch(&self) -> u32 {
        self.train_dataloader.batch_size.saturating_mul(self.num_processes.0)
    }

    /// Returns the learning rate before schedules, of tensors without one of their own; 0 for `auto`, which the stage replaces before it
    /// trains.
    pub fn initial_lr(&self) -> f64 {
        self.scaled_lr(self.optim_wrapper.optimizer.lr().unwrap_or_default())
    }

    /// Returns a learning rate of the parameters scaled to the number of clips per step, if that is asked for.
    pub fn scaled_lr(&self, lr: f64) -> f64 {
        match &self.auto_scale_lr {
            Some(scale) if scale.enable => scale.in_proportion(lr, self.clips_per_step()),
            Some(_) | None => lr,
        }
    }

    /// Returns the learning rates, before the first epoch. `steps_per_epoch` is the number of steps of the first epoch.
    pub fn lr_chain(&self, steps_per_epoch: usize) -> LrChain<'_> {
        LrChain::new(self.initial_lr(), &self.param_scheduler, steps_per_epoch)
    }

    /// Returns the epochs, counted from 0, in which a schedule of the learning rate begins, ends or has a milestone.
    pub fn milestones(&self, steps_per_epoch: usize) -> BTreeSet<u32> {
        self.param_scheduler.iter().flat_map(|scheduler| scheduler.milestones(steps_per_epoch)).collect()
    }

    /// Returns whether a schedule reads metrics, so that the learning rates are not known before training.
    pub fn lr_depends_on_metrics(&self) -> bool {
        self.param_scheduler.iter().any(|scheduler| scheduler.monitor().is_some())
    }

    /// Returns the loss, which depends on the labels unless `loss_cls` chooses one.
    pub fn loss(&self, labelling: Labelling) -> Loss {
        self.model.cls_head.loss_cls.clone().unwrap_or_else(|| Loss::default_for(labelling))
    }
}

impl EpochFields for TrainParams {
    fn epoch_fields(&self, context: EpochContext) -> Map<String, Value> {
        // The content of `load_from` and how it is read are fields of the first epoch, which the stage adds.
        let Self {
            model,
            train_dataloader,
            optim_wrapper,
            param_scheduler,
            auto_scale_lr,
            train_cfg,
            ema,
            freeze,
            early_stopping,
            checkpoint,
            load_from: _,
            seed,
            num_processes,
            sync_bn,
            threads,
            // The bits depend on it, and so it is in the environment of the result. Another device gives the same result up to rounding.
            device: _,
        } = self;
        let early_stopping = early_stopping.as_ref().map(|params| params.epoch_fields(context)).unwrap_or_default();
        let auto_scale_lr = auto_scale_lr.as_ref().map(|params| params.epoch_fields(context)).unwrap_or_default();
        let ema = ema.as_ref().map(|params| params.epoch_fields(context)).unwrap_or_default();
        let freeze = freeze.as_ref().map(|params| params.epoch_fields(context)).unwrap_or_default();
        let fields = object([
            ("model", model.epoch_fields(context).into()),
            ("train_dataloader", train_dataloader.epoch_fields(context).into()),
            ("optim_wrapper", optim_wrapper.epoch_fields(context).into()),
            ("param_scheduler", param_scheduler.epoch_fields(context).into()),
            ("auto_scale_lr", auto_scale_lr.into()),
            ("train_cfg", train_cfg.epoch_fields(context).into()),
            ("ema", ema.into()),
            ("freeze", freeze.into()),
            ("early_stopping", early_stopping.into()),
            ("checkpoint", checkpoint.epoch_fields(context).into()),
            ("seed", json(seed)),
        ]);
        // Those with the default are not written, so that epochs are found that were trained before these parameters existed.
        let of_processes = [
            ("num_processes", (!num_processes.is_one()).then(|| json(num_processes))),
            ("sync_bn", (*sync_bn && !num_processes.is_one()).then(|| json(sync_bn))),
            ("threads", threads.as_ref().map(json)),
        ];
        let of_processes = of_processes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        fields.into_iter().chain(of_processes).collect()
    }
}

impl Params for TrainParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = self.model.check();
        errors.extend(self.optim_wrapper.check());
        errors.extend(self.ema.iter().flat_map(Ema::check));
        errors.extend(self.freeze.as_ref().and_then(Freeze::check));
        let schedulers = self.param_scheduler.iter().enumerate();
        errors.extend(schedulers.flat_map(|(position, scheduler)| scheduler.check(position)));
        errors.extend(self.train_cfg.check());
        let validates = self.train_cfg.validates();
        errors.extend(self.early_stopping.as_ref().and_then(|_| EarlyStopping::check(validates)));
        errors.extend(self.checkpoint.check(validates));
        errors.extend(self.load_from.iter().flat_map(LoadFrom::check));
        errors
    }

    fn keyed(&self) -> Option<Value> {
        let mut params = json(self);
        params.as_object_mut()?.remove("device");
        Some(params)
    }

    fn sources(&self) -> Vec<SourceSet> {
        self.load_from.iter().filter_map(LoadFrom::source).collect()
    }

    fn input_choices(&self) -> Vec<InputChoice> {
        // `lr: auto` needs the input. That a rate and the input exclude each other is an error of the stage, which says more.
        let is_auto = self.optim_wrapper.optimizer.lr().is_none();
        let (param, value) = ("optim_wrapper.optimizer.lr", "NUMBER");
        let lr = is_auto.then_some(InputChoice { port: "lr", param, value, given: false, required: true });
        self.load_from.iter().map(LoadFrom::input_choice).chain(lr).collect()
    }

    fn num_classes(&self) -> Option<(&'static str, u32)> {
        Some(("model.cls_head.num_classes", self.model.cls_head.num_classes?))
    }

    fn epochs_read(&self) -> Option<(&'static str, u32)> {
        Some(("train_cfg.max_epochs", self.train_cfg.num_epochs()?))
    }
}
