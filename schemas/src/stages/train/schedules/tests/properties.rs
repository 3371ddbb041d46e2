//! Random lists of schedules, compared with the formulas of MMEngine as they are: each changes the current rate.
//!
//! [`LrChain`] differs from them in that schedules which only multiply have a factor in total, so that rounding errors do not add up.

#![expect(clippy::float_cmp, reason = "whole numbers of ticks")]

use super::super::*;
use proptest::prelude::*;
use serde_json::json;
use std::f64::consts::PI;

/// A schedule as MMEngine's class of the same name: its parameters, and its clock.
struct Reference {
    params: Value,
    begin: u64,
    end: Option<u64>,
    by_epoch: bool,
    scale: f64,
    base: f64,
}

impl Reference {
    fn new(params: &Value, steps: u64, base: f64) -> Self {
        let converted = params["convert_to_iter_based"] == true;
        let scale = if converted { steps } else { 1 };
        Self {
            begin: params["begin"].as_u64().unwrap_or(0) * scale,
            end: params["end"].as_u64().map(|end| end * scale),
            by_epoch: params["by_epoch"] != false && !converted,
            scale: scale as f64,
            base,
            params: params.clone(),
        }
    }

    fn number(&self, name: &str, default: f64) -> f64 {
        self.params[name].as_f64().unwrap_or(default)
    }

    fn list(&self, name: &str) -> Vec<f64> {
        self.params[name].as_array().expect("a list").iter().filter_map(Value::as_f64).collect()
    }

    /// Returns the rate after the schedule has acted at `now`.
    fn step(&self, now: u64, rate: f64) -> f64 {
        if now < self.begin || self.end.is_some_and(|end| now >= end) {
            return rate;
        }
        let at = (now - self.begin) as f64;
        let total = self.end.map_or(f64::INFINITY, |end| (end - self.begin - 1) as f64);
        let eta_min =
            self.params["eta_min_ratio"].as_f64().map_or(self.number("eta_min", 0.0), |ratio| ratio * self.base);
        match self.params["type"].as_str().expect("a type") {
            "LinearLR" => {
                let (start, end) = (self.number("start_factor", 1.0 / 3.0), self.number("end_factor", 1.0));
                let change = (end - start) / (total * start + (at - 1.0) * (end - start));
                rate * if at == 0.0 { start } else { 1.0 + change }
            }
            "ConstantLR" => {
                let factor = self.number("factor", 1.0 / 3.0);
                rate * if at == 0.0 {
                    factor
                } else if at == total {
                    1.0 / factor
                } else {
                    1.0
                }
            }
            "StepLR" => {
                let reduces = at > 0.0 && at % (self.number("step_size", 1.0) * self.scale) == 0.0;
                rate * if reduces { self.number("gamma", 0.1) } else { 1.0 }
            }
            "MultiStepLR" => {
                let count = self.list("milestones").iter().filter(|milestone| **milestone * self.scale == at).count();
                rate * self.number("gamma", 0.1).powi(count as i32)
            }
            "ExponentialLR" => rate * if at == 0.0 { 1.0 } else { self.number("gamma", 1.0) },
            "PolyLR" if at > 0.0 => {
                (rate - eta_min) * (1.0 - 1.0 / (total - at + 1.0)).powf(self.number("power", 1.0)) + eta_min
            }
            "CosineAnnealingLR" if at > 0.0 => {
                let t_max = self.params["T_max"].as_f64().map_or(total + 1.0, |t_max| t_max * self.scale);
                let cosine = |at: f64| 1.0 + (PI * at / t_max).cos();
                if (at - 1.0 - t_max).rem_euclid(2.0 * t_max) == 0.0 {
                    rate + (self.base - eta_min) * (1.0 - (PI / t_max).cos()) / 2.0
                } else {
                    cosine(at) / cosine(at - 1.0) * (rate - eta_min) + eta_min
                }
            }
            "CosineRestartLR" => {
                let (mut start, weights) = (0.0, self.list("restart_weights"));
                for (period, weight) in self.list("periods").iter().map(|period| period * self.scale).zip(weights) {
                    if at < start + period {
                        let cosine = |at: f64| 1.0 + (PI * (at - start) / period).cos();
                        let next = || cosine(at) / cosine(at - 1.0) * (rate - eta_min) + eta_min;
                        return if at == start { self.base * weight } else { next() };
                    }
                    start += period;
                }
                rate
            }
            _ => rate,
        }
    }
}

/// Returns the rates of all steps by the formulas.
fn reference(lr: f64, params: &[Value], epochs: u64, steps: u64) -> Vec<f64> {
    let schedules: Vec<_> = params.iter().map(|params| Reference::new(params, steps, lr)).collect();
    let acts = |rate: f64, now: u64, by_epoch: bool| {
        let due = schedules.iter().filter(|schedule| schedule.by_epoch == by_epoch);
        due.fold(rate, |rate, schedule| schedule.step(now, rate))
    };
    let mut rate = schedules.iter().fold(lr, |rate, schedule| schedule.step(0, rate));
    let mut rates = Vec::new();
    for epoch in 0..epochs {
        for step in 0..steps {
            rates.push(rate);
            rate = acts(rate, epoch * steps + step + 1, false);
        }
        rate = acts(rate, epoch + 1, true);
    }
    rates
}

/// Parameters of a schedule without its times.
fn kinds() -> impl Strategy<Value = Value> {
    let factor = 0.01..1.0;
    let minimum = || prop_oneof![Just(json!({})), (0.0..0.05).prop_map(|eta_min| json!({ "eta_min": eta_min }))];
    let with = |mut kind: Value, more: Value| {
        kind.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        kind
    };
    prop_oneof![
        (factor.clone(), factor.clone())
            .prop_map(|(start, end)| json!({ "type": "LinearLR", "start_factor": start, "end_factor": end })),
        factor.clone().prop_map(|factor| json!({ "type": "ConstantLR", "factor": factor })),
        (1..5, factor.clone()).prop_map(|(size, gamma)| json!({ "type": "StepLR", "step_size": size, "gamma": gamma })),
        (prop::collection::vec(0..12, 0..4), factor)
            .prop_map(|(milestones, gamma)| json!({ "type": "MultiStepLR", "milestones": milestones, "gamma": gamma })),
        (0.5..1.1).prop_map(|gamma| json!({ "type": "ExponentialLR", "gamma": gamma })),
        (0.5..3.0, minimum())
            .prop_map(move |(power, eta_min)| with(json!({ "type": "PolyLR", "power": power }), eta_min)),
        (prop::option::of(1..9), minimum())
            .prop_map(move |(t_max, eta_min)| with(json!({ "type": "CosineAnnealingLR", "T_max": t_max }), eta_min)),
        (1..9, 0.0..0.5)
            .prop_map(|(t_max, ratio)| json!({ "type": "CosineAnnealingLR", "T_max": t_max, "eta_min_ratio": ratio })),
        (prop::collection::vec((1..6, 0.1..1.5), 1..4), 0.0..0.05).prop_map(|(periods, eta_min)| {
            let (periods, weights): (Vec<i32>, Vec<f64>) = periods.into_iter().unzip();
            json!({ "type": "CosineRestartLR", "periods": periods, "restart_weights": weights, "eta_min": eta_min })
        }),
    ]
}

fn schedules() -> impl Strategy<Value = Vec<Value>> {
    let schedule = (kinds(), 0u32..6, 1u32..12, any::<bool>(), any::<bool>()).prop_map(
        |(mut params, begin, length, by_epoch, convert)| {
            params["begin"] = begin.into();
            params["end"] = (begin + length).into();
            params["by_epoch"] = by_epoch.into();
            params["convert_to_iter_based"] = (by_epoch && convert).into();
            params
        },
    );
    prop::collection::vec(schedule, 1..4)
}

fn parse_all(params: &[Value]) -> Vec<Scheduler> {
    params.iter().map(super::parse).collect()
}

proptest! {
    #[test]
    fn rates_are_those_of_the_formulas(params in schedules(), epochs in 1u64..14, steps in 1u64..4, lr in 0.001..1.0) {
        let schedulers = parse_all(&params);
        let mut chain = LrChain::new(lr, &schedulers, steps as usize);
        let found: Vec<f64> = (0..epochs).flat_map(|_| chain.next_epoch(steps as usize)).collect();
        for (step, (found, expect)) in found.iter().zip(reference(lr, &params, epochs, steps)).enumerate() {
            // Where a schedule subtracts the rate from itself, rounding decides what is left.
            prop_assert!((found - expect).abs() <= 1e-9 * expect.abs().max(1e-6 * lr), "step {}: {}, not {}", step, found, expect);
        }
    }

    #[test]
    fn rates_are_finite(params in schedules(), epochs in 1usize..30, steps in 1usize..4) {
        let schedulers = parse_all(&params);
        let mut chain = LrChain::new(0.1, &schedulers, steps);
        for rate in (0..epochs).flat_map(|_| chain.next_epoch(steps)) {
            prop_assert!(rate.is_finite(), "{}", rate);
        }
    }

    #[test]
    fn parameters_survive_serialisation(params in schedules()) {
        for scheduler in parse_all(&params) {
            prop_assert_eq!(&super::parse(&json(&scheduler)), &scheduler);
        }
    }
}
