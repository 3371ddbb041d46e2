//! [`OptimWrapper`]: the optimiser and what is done to gradients before its step.
//!
//! To add an optimiser, add a variant to [`Optimizer`] with a struct of its parameters, and its step as
//! `crates/learn/src/optimizers/NAME.rs`. The parameters are here because `pipe` checks them without libtorch.

use super::epoch_fields::{EpochContext, EpochFields, json, object};
use super::learning_rate::LearningRate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The optimiser and what is done to gradients before its step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimWrapper {
    /// How gradients change the weights. Default: `SGD` with `lr: 0.005`, `momentum: 0.9` and `weight_decay: 0.0001`.
    pub optimizer: Optimizer,
    /// Limits the norm of gradients. Default: no limit.
    pub clip_grad: Option<ClipGrad>,
}

/// An optimiser, with the semantics of PyTorch's class of this name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    SGD(Sgd),
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW(AdamW),
}

/// Parameters of `SGD`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate.
    pub lr: LearningRate,
    /// Factor of the previous step that is added to the next. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub momentum: f64,
    /// L2 penalty: this factor times the weight is added to the gradient. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Whether to use Nesterov momentum. Default: false.
    #[serde(default)]
    pub nesterov: bool,
}

/// Parameters of `AdamW`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate.
    pub lr: LearningRate,
    /// Decay rates of the running averages of the gradient and of its square. Default: `[0.9, 0.999]`.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Decoupled weight decay. Default: 0.01.
    #[serde(default = "adamw_weight_decay")]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

/// Limits the norm of gradients, as PyTorch's `clip_grad_norm_`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClipGrad {
    /// The maximum 2-norm of all gradients taken together.
    #[schemars(range(min = 0.0))]
    pub max_norm: f64,
}

impl Optimizer {
    /// Returns the learning rate before schedules; `None` for `auto`.
    pub fn lr(&self) -> Option<f64> {
        match self {
            Self::SGD(params) => params.lr,
            Self::AdamW(params) => params.lr,
        }
        .number()
    }

    /// Sets the learning rate before schedules.
    pub fn set_lr(&mut self, lr: f64) {
        match self {
            Self::SGD(params) => params.lr = lr.into(),
            Self::AdamW(params) => params.lr = lr.into(),
        }
    }
}

impl EpochFields for OptimWrapper {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        let Self { optimizer, clip_grad } = self;
        let mut optimizer = json(optimizer);
        if let Some(fields) = optimizer.as_object_mut() {
            // The key has the learning rates of the epoch instead.
            fields.remove("lr");
        }
        object([("optimizer", optimizer), ("clip_grad", json(clip_grad))])
    }
}

impl Default for OptimWrapper {
    fn default() -> Self {
        let optimizer = Optimizer::SGD(Sgd { lr: 0.005.into(), momentum: 0.9, weight_decay: 1e-4, nesterov: false });
        Self { optimizer, clip_grad: None }
    }
}

fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn adamw_weight_decay() -> f64 {
    0.01
}
