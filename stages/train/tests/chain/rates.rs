//! Learning rates: schedules that do not fit the epochs, and the number of clips per step.

use super::*;
use pipe_schemas::stages::train::AutoScaleLr;

/// An epoch has two steps.
#[test]
fn schedules_that_do_not_fit_the_steps_are_refused() {
    let space = Space::new();
    let check = |schedulers: Vec<Value>, expect: &str| {
        let param_scheduler = schedulers.into_iter().map(scheduler).collect();
        let error = space.bench(&TrainParams { param_scheduler, ..params(4, 0) }).plan().expect_err("refused");
        assert_eq!(error.chain(), [expect]);
        assert!(error.help().is_some());
    };
    let cycle = json!({ "type": "OneCycleLR", "eta_max": 0.1, "total_steps": 6, "by_epoch": false });
    check(
        vec![cycle],
        "`param_scheduler.0.total_steps`: the cycle has 6 steps, but training continues for 8 steps from its begin",
    );
    let short = json!({ "type": "LinearLR", "begin": 0.5, "end": 0.9, "convert_to_iter_based": true });
    check(
        vec![json!({ "type": "ExponentialLR", "gamma": 0.9 }), short],
        "`param_scheduler.1.end`: ends at step 1, and begins at step 1 of 2 per epoch",
    );
    let growing = json!({ "type": "ExponentialLR", "gamma": 1e200, "by_epoch": false });
    check(vec![growing], "the schedules give the learning rate inf for step 1 of epoch 2");
    let cosine = json!({ "type": "CosineAnnealingLR", "T_max": 1, "eta_min": 0.1 });
    check(
        vec![json!({ "type": "ConstantLR", "factor": 0.1 }), cosine.clone(), cosine],
        "the schedules give the learning rate -0.09 for step 1 of epoch 3",
    );
}

/// With `convert_to_iter_based` all epochs count as many steps as the first one.
#[test]
fn converted_schedules_take_the_steps_of_the_first_epoch() {
    let space = Space::new();
    let warm_up = json!({ "type": "LinearLR", "end": 2, "start_factor": 0.1, "convert_to_iter_based": true });
    let params = TrainParams { param_scheduler: vec![scheduler(warm_up)], ..params(4, 0) };
    let rates = |plan: &[PlannedPart]| -> Vec<f64> {
        let of =
            |part: &PlannedPart| part.fields.iter().find(|(path, _)| path == &["lr"]).map(|(_, rate)| rate.parse());
        plan.iter().map(|part| of(part).expect("a rate").expect("a number")).collect()
    };
    let near = |found: &[f64], expect: &[f64]| found.iter().zip(expect).all(|(a, b)| (a - b).abs() < 1e-12);
    let found = rates(&space.plan(&params));
    assert!(near(&found, &[0.0005, 0.0035, 0.005, 0.005]), "{found:?}");
    // A second epoch of one step ends before the warm-up does.
    let samples = SamplesFolder::open(space.path("samples"));
    samples.write_epoch(1, &[sample(1, 0, 0), sample(1, 1, 3)]).expect("written");
    let found = rates(&space.plan(&params));
    assert!(near(&found, &[0.0005, 0.0035, 0.005, 0.005]), "{found:?}");
    samples.write_epoch(0, &[sample(0, 0, 0), sample(0, 1, 3)]).expect("written");
    let found = rates(&space.plan(&params));
    assert!(near(&found, &[0.0005, 0.005, 0.005, 0.005]), "{found:?}");
}

#[test]
fn the_rate_is_scaled_to_the_batch_or_warned_about() {
    let space = Space::new();
    let scaled = |enable| {
        let auto_scale_lr = Some(AutoScaleLr { enable, base_batch_size: 8 });
        TrainParams { auto_scale_lr, param_scheduler: Vec::new(), ..params(1, 0) }
    };
    let rate = |params: &TrainParams| {
        let plan = space.plan(params);
        plan[0].fields.iter().find(|(path, _)| path == &["lr"]).map(|(_, rate)| rate.clone())
    };
    assert_eq!(rate(&scaled(false)).as_deref(), Some("0.005"));
    assert_eq!(rate(&scaled(true)).as_deref(), Some("0.00125"));
    let ran = space.bench(&scaled(false)).run(&space.path("out"));
    assert_eq!(
        ran.warnings,
        [
            "the learning rate 0.005 was chosen for 8 clips per step, but a step has 2: in proportion it would be 0.00125; set \
          `auto_scale_lr.enable` to true for that, or set `optim_wrapper.optimizer.lr` for 2 clips and \
          `auto_scale_lr.base_batch_size` to 2"
        ]
    );
    let ran = space.bench(&scaled(true)).run(&space.path("scaled-out"));
    assert_eq!(ran.warnings, Vec::<String>::new());
    assert_eq!(ran.lines()[1], "learning rate 0.005 for 8 clips per step, scaled to 0.00125 for 2");
}
