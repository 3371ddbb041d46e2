//! `train`: fits a network to the training samples.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OddNames, OutputPort, ParamError, Params, Parts, PortType, SourceSet,
    Tolerance, Tool, Worker, parse, schema,
};
use crate::networks::ModelParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `train`.
pub const CONTRACT: Contract = Contract {
    kind: "train",
    version: 5,
    summary: "trains a network of the zoo, from scratch or from published weights",
    worker: Some(Worker::Torch),
    open_ports: false,
    inputs: &[
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
        InputPort { name: "weights", port_type: PortType::Folder, required: false, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "model", port_type: PortType::Model, path: "model" },
        OutputPort { name: "log", port_type: PortType::TrainingLog, path: "training_log.parquet" },
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
    /// Clips a step.
    pub train_dataloader: DataloaderParams,
    /// How weights are moved.
    pub optim_wrapper: OptimWrapper,
    /// How the learning rate changes; the factors of all entries multiply.
    pub param_scheduler: Vec<Scheduler>,
    /// How long.
    pub train_cfg: TrainCfg,
    /// Weights to start from; leave it out when the input `weights` is connected to a stage that fetches the file.
    pub load_from: Option<LoadFrom>,
    /// What initial weights and dropout derive from.
    pub seed: u64,
}

/// Clips a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataloaderParams {
    /// Clips a step.
    #[schemars(range(min = 1, max = 4096))]
    pub batch_size: u32,
}

/// How weights are moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimWrapper {
    /// The rule.
    pub optimizer: Optimizer,
    /// Where gradients are cut.
    pub clip_grad: Option<ClipGrad>,
}

/// The rule by which weights are moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent, PyTorch's semantics.
    SGD {
        /// Learning rate.
        #[schemars(range(min = 0.0))]
        lr: f64,
        /// Share of the last step kept.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        momentum: f64,
        /// Times the weight, added to the gradient.
        #[serde(default)]
        #[schemars(range(min = 0.0))]
        weight_decay: f64,
        /// Nesterov's form.
        #[serde(default)]
        nesterov: bool,
    },
    /// AdamW, PyTorch's semantics.
    AdamW {
        /// Learning rate.
        #[schemars(range(min = 0.0))]
        lr: f64,
        /// Decay of both moments.
        #[serde(default = "betas")]
        betas: [f64; 2],
        /// Decoupled weight decay.
        #[serde(default = "adamw_decay")]
        #[schemars(range(min = 0.0))]
        weight_decay: f64,
    },
}

impl Optimizer {
    /// Returns the learning rate before schedules.
    pub fn lr(&self) -> f64 {
        match self {
            Self::SGD { lr, .. } | Self::AdamW { lr, .. } => *lr,
        }
    }
}

/// Where gradients are cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClipGrad {
    /// The largest 2-norm of all gradients together.
    #[schemars(range(min = 0.0))]
    pub max_norm: f64,
}

/// How the learning rate changes with the epoch, from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Scheduler {
    /// Times `gamma` from each milestone on.
    MultiStepLR {
        /// Epochs.
        milestones: Vec<u32>,
        /// The factor.
        #[serde(default = "tenth")]
        gamma: f64,
    },
    /// From `start_factor` at `begin` to 1 at `end - 1`, linearly (MMEngine's).
    LinearLR {
        /// First epoch.
        #[serde(default)]
        begin: u32,
        /// The epoch after the last.
        end: u32,
        /// The first factor.
        #[serde(default = "third")]
        start_factor: f64,
    },
    /// Half a cosine from 1 to `eta_min_ratio` over the epochs from `begin` to `end`.
    CosineAnnealingLR {
        /// First epoch.
        #[serde(default)]
        begin: u32,
        /// The epoch after the last.
        end: u32,
        /// The last factor.
        #[serde(default)]
        eta_min_ratio: f64,
    },
}

/// How long to train.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainCfg {
    /// Epochs; at most those drawn by `augment`.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_epochs: u32,
    /// The test samples are evaluated after every so many epochs and after the last; 0 means never.
    pub val_interval: u32,
}

/// Weights to start from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadFrom {
    /// A `.pth`, `.pt` or `.safetensors` file. It is read without running anything in it.
    // Where it lies is no part of what it is: the key holds its content.
    #[serde(skip_serializing)]
    #[serde(default)]
    pub checkpoint: String,
}

fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn adamw_decay() -> f64 {
    0.01
}

fn tenth() -> f64 {
    0.1
}

fn third() -> f64 {
    1.0 / 3.0
}

impl Default for DataloaderParams {
    fn default() -> Self {
        Self { batch_size: 32 }
    }
}

impl Default for OptimWrapper {
    fn default() -> Self {
        let optimizer = Optimizer::SGD { lr: 0.005, momentum: 0.9, weight_decay: 1e-4, nesterov: false };
        Self { optimizer, clip_grad: None }
    }
}

impl Default for TrainCfg {
    fn default() -> Self {
        Self { max_epochs: 50, val_interval: 0 }
    }
}

impl Params for TrainParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = Vec::new();
        for (channel, std) in self.model.data_preprocessor.std.iter().enumerate() {
            if *std <= 0.0 {
                errors.push(ParamError {
                    path: ["model", "data_preprocessor", "std", &channel.to_string()].map(String::from).into(),
                    message: format!("{std} can't divide pixels"),
                    help: "a number above 0".into(),
                });
            }
        }
        for (position, scheduler) in self.param_scheduler.iter().enumerate() {
            let (Scheduler::LinearLR { begin, end, .. } | Scheduler::CosineAnnealingLR { begin, end, .. }) = scheduler
            else {
                continue;
            };
            if begin >= end {
                errors.push(ParamError {
                    path: vec!["param_scheduler".into(), position.to_string(), "end".into()],
                    message: format!("ends at epoch {end}, before it begins at {begin}"),
                    help: format!("an epoch after {begin}"),
                });
            }
        }
        if self.load_from.as_ref().is_some_and(|load| load.checkpoint.is_empty()) {
            errors.push(ParamError {
                path: vec!["load_from".into(), "checkpoint".into()],
                message: "no file named".into(),
                help: "the path of a .pth, .pt or .safetensors file".into(),
            });
        }
        errors
    }

    fn sources(&self) -> Vec<SourceSet> {
        let set = |load: &LoadFrom| SourceSet {
            param: "load_from",
            root: load.checkpoint.clone().into(),
            include: Vec::new(),
            exclude: Vec::new(),
            odd_names: OddNames::Refused,
        };
        self.load_from.iter().map(set).collect()
    }
}
