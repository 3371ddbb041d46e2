//! Learning rates of random lists of schedules, as MMEngine 0.10.7 computes them (`mmengine_lr.json`, 12 digits).

use pipe_schemas::stages::evaluate::Figures;
use pipe_schemas::stages::train::{LrChain, Scheduler};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    lr: f64,
    epochs: usize,
    param_scheduler: Vec<Scheduler>,
    #[serde(default = "one")]
    epoch_length: usize,
    #[serde(default)]
    metrics_after_each_epoch: Vec<f64>,
    #[serde(alias = "lrs_per_iteration")]
    lrs: Vec<f64>,
}

fn one() -> usize {
    1
}

fn rates(case: &Case) -> Vec<f64> {
    let mut chain = LrChain::new(case.lr, &case.param_scheduler, case.epoch_length);
    let mut rates = Vec::new();
    for epoch in 0..case.epochs {
        rates.extend(chain.next_epoch(case.epoch_length));
        if let Some(loss) = case.metrics_after_each_epoch.get(epoch) {
            chain.validated(&Figures { values: vec![("loss".into(), *loss)], num_videos: 1 });
        }
    }
    rates
}

#[test]
fn rates_are_those_of_mmengine() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("mmengine_lr.json")).expect("cases");
    assert!(!cases.is_empty());
    for (number, case) in cases.iter().enumerate() {
        let found = rates(case);
        assert_eq!(found.len(), case.lrs.len(), "case {number}");
        let largest = case.lrs.iter().copied().fold(0.0, f64::max);
        for (step, (found, expect)) in found.iter().zip(&case.lrs).enumerate() {
            // Where MMEngine subtracts a rate from itself, rounding decides what is left.
            let limit = 1e-9 * expect.abs().max(1e-6 * largest);
            assert!((found - expect).abs() <= limit, "case {number}, step {step}: {found}, not {expect}");
        }
    }
}
