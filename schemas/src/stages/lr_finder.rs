//! `lr_finder`: the learning rate by a small experiment.

use crate::contract::{
    Check, Contract, InputChoice, InputPort, Numerics, OutputPort, ParamError, Params, PortType, SourceSet, Tolerance,
    Tool, Worker, parse, schema,
};
use crate::networks::ModelParams;
use crate::stages::train::{ComputeDevice, DataloaderParams, Freeze, LoadFrom, OptimWrapper, TrainCfg, TrainParams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Contract of `lr_finder`.
pub const CONTRACT: Contract = Contract {
    kind: "lr_finder",
    version: 4,
    summary: "trains a copy of the network with a growing learning rate, and suggests one for `train`",
    worker: Some(Worker::Torch),
    open_ports: None,
    inputs: &[
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
        InputPort { name: "weights", port_type: PortType::Folder, required: false, or_param: None },
        InputPort { name: "model", port_type: PortType::Model, required: false, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "lr", port_type: PortType::LearningRate, path: "lr.json" },
        OutputPort { name: "curve", port_type: PortType::LrCurve, path: "curve.parquet" },
        OutputPort { name: "picture", port_type: PortType::Picture, path: "curve.png" },
    ],
    parts: None,
    numerics: Numerics::FloatingPoint(Tolerance { relative: 0.05, absolute: 0.02 }),
    check: Check::Never,
    tools: &[Tool::Libtorch, Tool::LibjpegTurbo],
    schema: schema::<LrFinderParams>,
    parse: parse::<LrFinderParams>,
};

/// Parameters of `lr_finder`. Those that it shares with `train` must be the same there: the suggested rate is for this network, batch
/// and optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LrFinderParams {
    /// The network, as in `train`.
    pub model: ModelParams,
    /// How training clips are grouped into batches.
    pub train_dataloader: DataloaderParams,
    /// The optimiser and what is done to gradients before its step. Its `lr` is not used.
    pub optim_wrapper: OptimWrapper,
    /// The part of the network that is not trained, as in `train`.
    pub freeze: Option<Freeze>,
    /// Published weights to start from, as in `train`.
    pub load_from: Option<LoadFrom>,
    /// Seed of the initial weights and of dropout. Default: 0.
    pub seed: u64,
    /// The first learning rate. Default: 1e-6.
    pub start_lr: f64,
    /// The last learning rate. Default: 1.
    pub end_lr: f64,
    /// Number of steps from the first rate to the last. Each multiplies the rate by the same factor. They take the clips of the first
    /// epoch, again and again. Default: 100.
    #[schemars(range(min = 20, max = 100_000))]
    pub num_iters: u32,
    /// The experiment ends when the running mean of the loss is this many times its lowest value. Default: 4.
    pub stop_factor: f64,
    /// Number of threads to compute with, as in `train`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub threads: Option<u32>,
    /// The device to compute on, as in `train`.
    #[serde(skip_serializing_if = "ComputeDevice::is_auto")]
    pub device: ComputeDevice,
}

impl Default for LrFinderParams {
    fn default() -> Self {
        Self {
            model: ModelParams::default(),
            train_dataloader: DataloaderParams::default(),
            optim_wrapper: OptimWrapper::default(),
            freeze: None,
            load_from: None,
            seed: 0,
            start_lr: 1e-6,
            end_lr: 1.0,
            num_iters: 100,
            stop_factor: 4.0,
            threads: None,
            device: ComputeDevice::Auto,
        }
    }
}

impl LrFinderParams {
    /// Returns the parameters of a training with the same network, batches and optimiser on the clips of the first epoch.
    pub fn training(&self) -> TrainParams {
        TrainParams {
            model: self.model.clone(),
            train_dataloader: self.train_dataloader.clone(),
            optim_wrapper: self.optim_wrapper.clone(),
            freeze: self.freeze.clone(),
            load_from: self.load_from.clone(),
            seed: self.seed,
            threads: self.threads,
            device: self.device,
            train_cfg: TrainCfg { max_epochs: Some(1), ..TrainCfg::default() },
            ..TrainParams::default()
        }
    }

    /// Returns the learning rate of each step.
    pub fn rates(&self) -> Vec<f64> {
        let last = f64::from(self.num_iters.saturating_sub(1).max(1));
        let ratio = self.end_lr / self.start_lr;
        (0..self.num_iters).map(|step| self.start_lr * ratio.powf(f64::from(step) / last)).collect()
    }
}

impl Params for LrFinderParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = self.training().check();
        let mut wrong = |name: &str, message: String, help: &str| {
            errors.push(ParamError { path: vec![name.into()], message, help: help.into() });
        };
        let is_rate = |rate: f64| rate.is_finite() && rate > 0.0;
        if !is_rate(self.start_lr) {
            wrong("start_lr", format!("{} is not above 0", self.start_lr), "a number above 0");
        } else if !is_rate(self.end_lr) || self.end_lr <= self.start_lr {
            wrong("end_lr", format!("{} is not above `start_lr`", self.end_lr), "a number above `start_lr`");
        }
        if self.stop_factor.is_nan() || self.stop_factor <= 1.0 {
            wrong("stop_factor", format!("{} is not above 1", self.stop_factor), "a number above 1");
        }
        errors
    }

    fn keyed(&self) -> Option<Value> {
        let mut params = serde_json::to_value(self).unwrap_or_default();
        params.as_object_mut()?.remove("device");
        Some(params)
    }

    fn sources(&self) -> Vec<SourceSet> {
        self.training().sources()
    }

    fn input_choices(&self) -> Vec<InputChoice> {
        self.training().input_choices()
    }

    fn num_classes(&self) -> Option<(&'static str, u32)> {
        self.training().num_classes()
    }
}

/// The content of `lr.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuggestedLr {
    /// The suggested learning rate.
    pub lr: f64,
    /// The rule that it follows from.
    pub rule: SuggestionRule,
    /// The rate with the lowest smoothed loss; training with it is not stable as a rule.
    pub lr_of_lowest_loss: f64,
    /// The number of clips per step that it was found for.
    pub clips_per_step: u32,
    /// Number of steps that were made.
    pub num_steps: u32,
    /// Number of steps that were asked for.
    pub num_iters: u32,
}

/// How a rate is chosen from the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuggestionRule {
    /// The rate at which the smoothed loss falls fastest over the logarithm of the rate, before its lowest value.
    SteepestDescent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_grow_by_the_same_factor() {
        let params = LrFinderParams { start_lr: 1e-3, end_lr: 10.0, num_iters: 5, ..LrFinderParams::default() };
        let near = |(found, expect): (&f64, f64)| (found / expect - 1.0).abs() < 1e-12;
        assert!(params.rates().iter().zip([1e-3, 1e-2, 0.1, 1.0, 10.0]).all(near), "{:?}", params.rates());
    }

    #[test]
    fn impossible_values_are_reported_by_field() {
        let check = |params: LrFinderParams, field: &str, message: &str| {
            let errors = params.check();
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert_eq!((errors[0].path.join("."), errors[0].message.as_str()), (field.to_owned(), message));
        };
        assert_eq!(LrFinderParams::default().check(), []);
        let default = LrFinderParams::default;
        check(LrFinderParams { start_lr: 0.0, ..default() }, "start_lr", "0 is not above 0");
        check(LrFinderParams { end_lr: 1e-6, ..default() }, "end_lr", "0.000001 is not above `start_lr`");
        check(LrFinderParams { stop_factor: 1.0, ..default() }, "stop_factor", "1 is not above 1");
    }
}
