//! [`Ema`]: an average of the weights, which is evaluated and written in their place.

use super::epoch_fields::{EpochContext, EpochFields, json};
use crate::contract::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An average of the weights over the batches of training, as MMEngine's `EMAHook` keeps it. Validations and the trained model
/// use it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ema {
    /// How weights are averaged. Default: `ExponentialMovingAverage`.
    #[serde(rename = "type")]
    pub ema_type: EmaType,
    /// The share of the new weights in the average, above 0 and below 1; the smallest share for `MomentumAnnealingEMA`. Default: 0.0002.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// For `MomentumAnnealingEMA`: after `n` batches the share of the new weights is `gamma / (gamma + n)`, if that is above `momentum`.
    /// Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub gamma: Option<u32>,
    /// Number of batches from one update of the average to the next. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub interval: Option<u32>,
    /// Whether running statistics of batch normalisations are averaged too; otherwise the newest are used. Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub update_buffers: bool,
    /// The first epoch whose batches are averaged, counted from 1; until then the average is the newest weights. Default: all epochs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub begin_epoch: Option<u32>,
    /// The first batch that is averaged, counted from 1 over all epochs. Default: all batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub begin_iter: Option<u32>,
}

/// How weights are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum EmaType {
    /// `(1 - momentum) * average + momentum * weights`.
    #[default]
    ExponentialMovingAverage,
    /// As `ExponentialMovingAverage`, with larger shares of the new weights at the start.
    MomentumAnnealingEMA,
    /// The mean of all weights (SWA; Izmailov et al. 2018).
    StochasticWeightAverage,
}

impl EmaType {
    /// Returns the name, as in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExponentialMovingAverage => "ExponentialMovingAverage",
            Self::MomentumAnnealingEMA => "MomentumAnnealingEMA",
            Self::StochasticWeightAverage => "StochasticWeightAverage",
        }
    }
}

impl Ema {
    /// Returns the share of the new weights in the average when `steps` batches have been counted before.
    pub fn share(&self, steps: i64) -> f64 {
        let momentum = self.momentum.unwrap_or(2e-4);
        match self.ema_type {
            EmaType::ExponentialMovingAverage => momentum,
            EmaType::MomentumAnnealingEMA => {
                let gamma = f64::from(self.gamma.unwrap_or(100));
                momentum.max(gamma / (gamma + steps as f64))
            }
            EmaType::StochasticWeightAverage => 1.0 / (steps / self.interval() + 1) as f64,
        }
    }

    /// Returns the number of batches from one update of the average to the next.
    pub fn interval(&self) -> i64 {
        i64::from(self.interval.unwrap_or(1).max(1))
    }

    /// Returns whether a batch is averaged. Epoch and batch are counted from 0, batches over all epochs.
    pub fn has_begun(&self, epoch: u32, batch: u64) -> bool {
        match (self.begin_epoch, self.begin_iter) {
            (Some(begin), _) => epoch + 1 >= begin,
            (None, Some(begin)) => batch + 1 >= u64::from(begin),
            (None, None) => true,
        }
    }

    /// Returns violations that types can't express, at paths from `with:`.
    pub(super) fn check(&self) -> Vec<ParamError> {
        let Self { ema_type, momentum, gamma, begin_epoch, begin_iter, interval: _, update_buffers: _ } = self;
        let at = |name: &str, message: String, help: &str| ParamError {
            path: ["ema", name].map(String::from).into(),
            message,
            help: help.into(),
        };
        let mut errors = Vec::new();
        if let Some(momentum) = momentum.filter(|momentum| *momentum <= 0.0 || *momentum >= 1.0) {
            errors.push(at("momentum", format!("{momentum} is out of range"), "a number above 0 and below 1"));
        }
        let unused = [
            ("momentum", momentum.is_some() && *ema_type == EmaType::StochasticWeightAverage),
            ("gamma", gamma.is_some() && *ema_type != EmaType::MomentumAnnealingEMA),
        ];
        for (name, _) in unused.into_iter().filter(|(_, unused)| *unused) {
            let message = format!("has no effect with `type: {}`", ema_type.name());
            errors.push(at(name, message, "remove it, or change `type`"));
        }
        if begin_epoch.is_some() && begin_iter.is_some() {
            errors.push(at("begin_iter", "`begin_epoch` is given too".into(), "remove one of the two"));
        }
        errors
    }
}

impl EpochFields for Ema {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        json(self).as_object().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand() {
        let ema = |text: &str| serde_json::from_str::<Ema>(text).expect("valid");
        let check = |text: &str, steps: i64, expect: f64| {
            let found = ema(text).share(steps);
            assert!((found - expect).abs() < 1e-15, "{text} after {steps}: {found}, not {expect}");
        };
        check("{}", 7, 0.0002);
        let annealing = r#"{"type": "MomentumAnnealingEMA", "momentum": 0.4, "gamma": 10}"#;
        check(annealing, 10, 0.5);
        check(annealing, 30, 0.4);
        check(r#"{"type": "StochasticWeightAverage"}"#, 3, 0.25);
        check(r#"{"type": "StochasticWeightAverage", "interval": 2}"#, 4, 1.0 / 3.0);
    }

    #[test]
    fn averages_begin_with_an_epoch_or_a_batch() {
        let begun = |ema: &Ema, epoch, batch| ema.has_begun(epoch, batch);
        let by_epoch = Ema { begin_epoch: Some(2), ..Ema::default() };
        assert!(!begun(&by_epoch, 0, 99) && begun(&by_epoch, 1, 0));
        let by_batch = Ema { begin_iter: Some(5), ..Ema::default() };
        assert!(!begun(&by_batch, 9, 3) && begun(&by_batch, 0, 4));
        assert!(begun(&Ema::default(), 0, 0));
    }

    #[test]
    fn parameters_fit_the_type() {
        let check = |text: &str, expect: &[&str]| {
            let errors = serde_json::from_str::<Ema>(text).expect("valid").check();
            assert_eq!(errors.iter().map(|error| error.path[1].as_str()).collect::<Vec<_>>(), expect, "{text}");
        };
        check("{}", &[]);
        check(r#"{"momentum": 1.0}"#, &["momentum"]);
        check(r#"{"gamma": 10}"#, &["gamma"]);
        check(r#"{"type": "StochasticWeightAverage", "momentum": 0.1}"#, &["momentum"]);
        check(r#"{"begin_epoch": 2, "begin_iter": 10}"#, &["begin_iter"]);
    }
}
