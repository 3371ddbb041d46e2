//! What holds for all schedules.

use super::*;
use serde_json::json;

/// Returns the schedule with these parameters, which are valid.
pub(super) fn parse(params: &Value) -> Scheduler {
    let scheduler: Scheduler = serde_json::from_value(params.clone()).expect("a schedule");
    assert_eq!(scheduler.check(0), []);
    scheduler
}

/// Checks the rate that a schedule makes of 1 in each epoch, from the first.
#[track_caller]
pub(super) fn check(params: &Value, expect: &[f64]) {
    let schedulers = [parse(params)];
    let mut chain = LrChain::new(1.0, &schedulers, 1);
    for (epoch, expect) in expect.iter().enumerate() {
        let rate = chain.next_epoch(1)[0];
        assert!((rate - expect).abs() < 1e-12, "epoch {epoch}: {rate}, not {expect}, with {params}");
    }
}

/// Checks the fields that are reported, with what is reported of the first.
#[track_caller]
fn check_errors(params: &Value, fields: &[&str], message: &str) {
    let scheduler: Scheduler = serde_json::from_value(params.clone()).expect("a schedule");
    let errors = scheduler.check(3);
    let found: Vec<String> = errors.iter().map(|error| error.path.join(".")).collect();
    let expect: Vec<String> = fields.iter().map(|field| format!("param_scheduler.3.{field}")).collect();
    assert_eq!(found, expect, "{params}");
    assert!(errors[0].message.contains(message), "{errors:?}");
}

#[test]
fn impossible_values_are_reported_by_field() {
    let check = check_errors;
    check(&json!({ "type": "StepLR", "step_size": 0, "gamma": -1 }), &["step_size", "gamma"], "must be 1 or more");
    check(&json!({ "type": "MultiStepLR", "milestones": [1], "gamma": -0.1 }), &["gamma"], "-0.1 is below 0");
    check(&json!({ "type": "ExponentialLR", "gamma": 0 }), &["gamma"], "0 is not above 0");
    check(&json!({ "type": "ConstantLR", "factor": 1.5 }), &["factor"], "1.5 is not between 0 and 1");
    check(&json!({ "type": "LinearLR", "start_factor": 2, "end": 3 }), &["start_factor"], "2 is not between 0 and 1");
    check(&json!({ "type": "LinearLR", "end_factor": -1 }), &["end_factor", "end"], "-1 is not between 0 and 1");
    check(&json!({ "type": "PolyLR", "power": 0, "eta_min": -1 }), &["eta_min", "power", "end"], "-1 is below 0");
    check(&json!({ "type": "CosineAnnealingLR" }), &["T_max"], "`T_max` and `end` are both missing");
    check(&json!({ "type": "CosineAnnealingLR", "T_max": 0 }), &["T_max"], "must be 1 or more");
    let both = json!({ "type": "CosineAnnealingLR", "T_max": 3, "eta_min": 0.1, "eta_min_ratio": 0.1 });
    check(&both, &["eta_min_ratio"], "exclude each other");
    check(&json!({ "type": "CosineRestartLR", "periods": [3] }), &["eta_min"], "are both missing");
    let restart = |periods: &[u32], weights: &[f64]| json!({ "type": "CosineRestartLR", "periods": periods, "restart_weights": weights, "eta_min": 0 });
    check(&restart(&[3, 2], &[1.0]), &["restart_weights"], "has 1 values, but there are 2 periods");
    check(&restart(&[3, 0], &[1.0, -1.0]), &["periods", "restart_weights"], "periods of 1 or more");
    check(&json!({ "type": "OneCycleLR", "eta_max": 0 }), &["eta_max", "total_steps"], "0 is not above 0");
    let cycle = json!({ "type": "OneCycleLR", "eta_max": 1, "total_steps": 0, "pct_start": 1.1, "div_factor": 0 });
    check(&cycle, &["pct_start", "div_factor", "total_steps"], "1.1 is not between 0 and 1");
    check(&json!({ "type": "ReduceOnPlateauLR", "factor": 1 }), &["factor"], "1 is not between 0 and 1");
    check(&json!({ "type": "ReduceOnPlateauLR", "threshold": -1, "eps": -1 }), &["threshold", "eps"], "-1 is below 0");
}

#[test]
fn impossible_times_are_reported_by_field() {
    let check = |times: Value, fields: &[&str], message: &str| {
        let mut params = json!({ "type": "ExponentialLR", "gamma": 0.5 });
        params.as_object_mut().expect("an object").extend(times.as_object().expect("an object").clone());
        check_errors(&params, fields, message);
    };
    check(json!({ "begin": 5, "end": 5 }), &["end"], "ends at epoch 5, before it begins at 5");
    check(json!({ "begin": 5, "end": 4, "by_epoch": false }), &["end"], "ends at step 4, before it begins at 5");
    check(json!({ "begin": 0.5, "end": 1.5 }), &["begin", "end"], "0.5 is not a whole number");
    let converted = json!({ "by_epoch": false, "convert_to_iter_based": true });
    check(converted, &["convert_to_iter_based"], "counts steps already");
    let converted =
        json!({ "type": "ExponentialLR", "gamma": 0.5, "begin": 0.5, "end": 0.7, "convert_to_iter_based": true });
    let scheduler = parse(&converted);
    assert_eq!(scheduler.check_length(0, 10, 1, 10), None);
    let error = scheduler.check_length(0, 2, 1, 2).expect("no step");
    assert_eq!(error.path[2], "end");
    check_errors(&json!({ "type": "ReduceOnPlateauLR", "begin": 3, "end": 2 }), &["end"], "before it begins");
}

#[test]
fn a_cycle_that_is_too_short_is_reported() {
    let check = |cycle: Value, num_epochs: usize, expect: Option<&str>| {
        let found = parse(&cycle).check_length(0, 5, num_epochs, 5 * num_epochs);
        assert_eq!(found.as_ref().map(|error| error.message.as_str()), expect, "{cycle}");
        assert!(found.is_none_or(|error| error.path[2] == "total_steps"));
    };
    let cycle = json!({ "type": "OneCycleLR", "eta_max": 1, "total_steps": 10 });
    check(cycle.clone(), 10, None);
    check(cycle, 12, Some("the cycle has 10 epochs, but training continues for 12 epochs from its begin"));
    let cycle = json!({ "type": "OneCycleLR", "eta_max": 1, "total_steps": 10, "by_epoch": false, "begin": 5 });
    check(cycle.clone(), 3, None);
    check(cycle, 4, Some("the cycle has 10 steps, but training continues for 15 steps from its begin"));
    check(json!({ "type": "OneCycleLR", "eta_max": 1, "total_steps": 10, "end": 10 }), 12, None);
}

#[test]
fn milestones_are_counted_from_begin() {
    let check = |params: Value, expect: &[u32]| assert_eq!(parse(&params).milestones(4), expect, "{params}");
    check(json!({ "type": "MultiStepLR", "milestones": [3], "begin": 2 }), &[5, 2]);
    check(json!({ "type": "StepLR", "step_size": 4, "end": 9 }), &[4, 0, 9]);
    check(json!({ "type": "CosineRestartLR", "periods": [4, 2], "restart_weights": [1, 1], "eta_min": 0 }), &[4, 6, 0]);
    // Four steps are an epoch.
    check(json!({ "type": "MultiStepLR", "milestones": [3, 16], "by_epoch": false, "begin": 2 }), &[1, 4, 0]);
    check(json!({ "type": "LinearLR", "end": 2.5, "convert_to_iter_based": true }), &[0, 2]);
}

#[test]
fn parameters_at_their_defaults_are_not_serialised_where_they_were_added_later() {
    let check = |params: Value| assert_eq!(json(&parse(&params)), params);
    check(json!({ "type": "LinearLR", "begin": 0, "end": 3, "start_factor": 0.1, "by_epoch": true }));
    check(json!({
        "type": "ReduceOnPlateauLR", "monitor": "loss", "rule": "less", "factor": 0.1, "patience": 10, "threshold": 0.0001,
        "cooldown": 0, "min_value": 0.0,
    }));
}

mod properties;
