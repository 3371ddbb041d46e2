//! [`OptimWrapper`]: the optimiser and what is done to gradients before its step.
//!
//! To add an optimiser, add a variant to [`Optimizer`] with a struct of its parameters and a line in `with_params`, and its step as
//! `crates/learn/src/optimizers/NAME.rs`. The parameters are here because `pipe` checks them without libtorch.

use super::amp::{Amp, AmpDtype, LossScale, WrapperType};
use super::clip_grad::ClipGrad;
use super::epoch_fields::{EpochContext, EpochFields, json, object};
use super::learning_rate::LearningRate;
use super::paramwise::{Constructor, ParamwiseCfg};
use crate::contract::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The optimiser and what is done to gradients before its step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimWrapper {
    /// `AmpOptimWrapper` trains in mixed precision. Default: `OptimWrapper`.
    #[serde(rename = "type", skip_serializing_if = "WrapperType::is_default")]
    pub wrapper: WrapperType,
    /// For `AmpOptimWrapper`, which needs it: what convolutions, linear layers and attention compute with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<AmpDtype>,
    /// For `AmpOptimWrapper`: the factor of the loss, `dynamic` or a number. Default: `dynamic` for `float16`, 1 for `bfloat16`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
    /// How gradients change the weights. Default: `SGD` with `lr: 0.005`, `momentum: 0.9` and `weight_decay: 0.0001`.
    pub optimizer: Optimizer,
    /// Limits gradients. Default: no limit.
    pub clip_grad: Option<ClipGrad>,
    /// Number of batches whose mean gradient makes one step of the optimiser. The last step of an epoch may have fewer. Default: 1.
    #[schemars(range(min = 1, max = 4096))]
    pub accumulative_counts: u32,
    /// How learning rates and weight decays of single tensors follow from `paramwise_cfg`. Default:
    /// `DefaultOptimWrapperConstructor`.
    pub constructor: Constructor,
    /// Learning rates and weight decays of single tensors. Default: all have those of the optimiser.
    pub paramwise_cfg: Option<ParamwiseCfg>,
}

impl OptimWrapper {
    /// Returns how training computes in mixed precision; `None` for 32 bits.
    pub fn amp(&self) -> Option<Amp> {
        Amp::new(self.wrapper, self.dtype, self.loss_scale)
    }

    /// Returns violations that types can't express, at paths from `with:`.
    pub(super) fn check(&self) -> Vec<ParamError> {
        let Self {
            wrapper,
            dtype,
            loss_scale,
            optimizer,
            clip_grad,
            accumulative_counts: _,
            constructor,
            paramwise_cfg,
        } = self;
        let mut errors: Vec<ParamError> = optimizer.check().into_iter().collect();
        errors.extend(Amp::check(*wrapper, *dtype, *loss_scale));
        errors.extend(clip_grad.iter().flat_map(ClipGrad::check));
        errors.extend(constructor.check(paramwise_cfg.as_ref()));
        errors
    }
}

impl EpochFields for OptimWrapper {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        // The three parameters of the precision determine `amp`.
        let Self {
            wrapper: _,
            dtype: _,
            loss_scale: _,
            optimizer,
            clip_grad,
            accumulative_counts,
            constructor,
            paramwise_cfg,
        } = self;
        let mut optimizer = json(optimizer);
        if let Some(fields) = optimizer.as_object_mut() {
            // The key has the learning rates of the epoch instead.
            fields.remove("lr");
        }
        let mut fields = object([("optimizer", optimizer), ("clip_grad", json(clip_grad))]);
        if *accumulative_counts > 1 {
            fields.insert("accumulative_counts".into(), json(accumulative_counts));
        }
        if let Some(amp) = self.amp() {
            fields.insert("amp".into(), json(&amp));
        }
        if let Some(paramwise_cfg) = paramwise_cfg {
            fields.insert("constructor".into(), json(constructor));
            fields.insert("paramwise_cfg".into(), json(paramwise_cfg));
        }
        fields
    }
}

impl Default for OptimWrapper {
    fn default() -> Self {
        Self {
            wrapper: WrapperType::default(),
            dtype: None,
            loss_scale: None,
            optimizer: Optimizer::default(),
            clip_grad: None,
            accumulative_counts: 1,
            constructor: Constructor::default(),
            paramwise_cfg: None,
        }
    }
}

/// An optimiser, with the semantics of PyTorch's class of this name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    SGD(Sgd),
    /// Adam (Kingma and Ba 2015); weight decay is an L2 penalty.
    Adam(Adam),
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW(AdamW),
    /// `RMSprop` (Hinton 2012): divides gradients by the root of the running average of their squares.
    RMSprop(RmsProp),
}

/// Parameters of `SGD`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate.
    pub lr: LearningRate,
    /// Factor of the previous step that is added to the next. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub momentum: f64,
    /// Share of the gradient that momentum leaves out, from the second step on. Default: 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dampening: f64,
    /// L2 penalty: this factor times the weight is added to the gradient. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Whether to use Nesterov momentum. It needs `momentum` above 0 and no `dampening`. Default: false.
    #[serde(default)]
    pub nesterov: bool,
}

/// Parameters of `Adam`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// Learning rate.
    pub lr: LearningRate,
    /// Decay rates of the running averages of the gradient and of its square. Default: `[0.9, 0.999]`.
    #[serde(default = "betas")]
    #[schemars(inner(range(min = 0.0, max = 0.999_999_999)))]
    pub betas: [f64; 2],
    /// Added to the root of the second average. Default: 1e-8.
    #[serde(default = "eps")]
    #[schemars(range(min = 0.0))]
    pub eps: f64,
    /// L2 penalty: this factor times the weight is added to the gradient. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Whether to divide by the root of the largest second average so far (Reddi et al. 2018). Default: false.
    #[serde(default)]
    pub amsgrad: bool,
}

/// Parameters of `AdamW`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate.
    pub lr: LearningRate,
    /// Decay rates of the running averages of the gradient and of its square. Default: `[0.9, 0.999]`.
    #[serde(default = "betas")]
    #[schemars(inner(range(min = 0.0, max = 0.999_999_999)))]
    pub betas: [f64; 2],
    /// Added to the root of the second average. Default: 1e-8.
    #[serde(default = "eps", skip_serializing_if = "is_default_eps")]
    #[schemars(range(min = 0.0))]
    pub eps: f64,
    /// Decoupled weight decay. Default: 0.01.
    #[serde(default = "adamw_weight_decay")]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Whether to divide by the root of the largest second average so far (Reddi et al. 2018). Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub amsgrad: bool,
}

/// Parameters of `RMSprop`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RmsProp {
    /// Learning rate. Default: 0.01.
    #[serde(default = "rmsprop_lr")]
    pub lr: LearningRate,
    /// Decay rate of the running average of squared gradients. Default: 0.99.
    #[serde(default = "alpha")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub alpha: f64,
    /// Added to the root of the average. Default: 1e-8.
    #[serde(default = "eps")]
    #[schemars(range(min = 0.0))]
    pub eps: f64,
    /// L2 penalty: this factor times the weight is added to the gradient. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Factor of the previous step that is added to the next. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub momentum: f64,
    /// Whether to divide by the standard deviation of gradients, and not by the root of their mean square. Default: false.
    #[serde(default)]
    pub centered: bool,
}

/// Evaluates an expression for the parameters of any optimiser.
macro_rules! with_params {
    ($optimizer:expr, $params:ident => $value:expr) => {
        match $optimizer {
            Optimizer::SGD($params) => $value,
            Optimizer::Adam($params) => $value,
            Optimizer::AdamW($params) => $value,
            Optimizer::RMSprop($params) => $value,
        }
    };
}

impl Optimizer {
    /// Returns the learning rate before schedules; `None` for `auto`.
    pub fn lr(&self) -> Option<f64> {
        with_params!(self, params => params.lr).number()
    }

    /// Sets the learning rate before schedules.
    pub fn set_lr(&mut self, lr: f64) {
        with_params!(self, params => params.lr = lr.into());
    }

    /// Returns the weight decay of tensors without rules of their own.
    pub fn weight_decay(&self) -> f64 {
        with_params!(self, params => params.weight_decay)
    }

    /// Returns violations that types can't express, at paths from `with:`.
    pub(super) fn check(&self) -> Option<ParamError> {
        let Self::SGD(Sgd { momentum, dampening, nesterov: true, .. }) = self else { return None };
        (*momentum <= 0.0 || *dampening != 0.0).then(|| ParamError {
            path: ["optim_wrapper", "optimizer", "nesterov"].map(String::from).into(),
            message: "Nesterov momentum needs `momentum` above 0 and no `dampening`".into(),
            help: "set `momentum: 0.9`, or remove `nesterov`".into(),
        })
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::SGD(Sgd { lr: 0.005.into(), momentum: 0.9, weight_decay: 1e-4, ..Sgd::default() })
    }
}

/// PyTorch's default.
const EPS: f64 = 1e-8;

fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn eps() -> f64 {
    EPS
}

fn alpha() -> f64 {
    0.99
}

fn rmsprop_lr() -> LearningRate {
    0.01.into()
}

fn adamw_weight_decay() -> f64 {
    0.01
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default_eps(eps: &f64) -> bool {
    eps.to_bits() == EPS.to_bits()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
