//! The stage `lr_finder`, and training with the rate that it suggests.

use super::*;
use pipe_schemas::stages::lr_finder::{LrFinderParams, SuggestedLr};
use pipe_schemas::stages::train::AutoScaleLr;
use pipe_schemas::tables::LrCurveRow;
use pipe_stage_train::LrFinder;
use pipe_tables::{read_json, read_rows};
use pipe_testkit::run_stage;

fn finder(change: impl Fn(&mut LrFinderParams)) -> LrFinderParams {
    let TrainParams { model, train_dataloader, optim_wrapper, seed, .. } = params(1, 0);
    let mut params = LrFinderParams {
        model,
        train_dataloader,
        optim_wrapper,
        seed,
        start_lr: 1e-5,
        end_lr: 10.0,
        num_iters: 40,
        ..LrFinderParams::default()
    };
    change(&mut params);
    params
}

fn find(space: &Space, params: &LrFinderParams, output: &str) -> Ran {
    let inputs = ["frames", "samples"].map(|name| (name, input(space.path(name))));
    run_stage(&LrFinder, params, inputs, space.path(output), 2)
}

#[test]
fn the_suggested_rate_is_that_of_training_with_lr_auto() {
    let space = Space::new();
    let ran = find(&space, &finder(|_| ()), "lr");
    let suggested: SuggestedLr = read_json(&space.path("lr/lr.json")).expect("a rate");
    assert!(
        ran.lines()[0]
            .starts_with(&format!("learning rate {} for 2 clips per step, where the loss falls fastest", suggested.lr)),
        "{ran:?}"
    );
    assert!(suggested.lr > 1e-5 && suggested.lr < suggested.lr_of_lowest_loss, "{suggested:?}");

    let curve: Vec<LrCurveRow> = read_rows(&space.path("lr/curve.parquet")).expect("a curve");
    assert_eq!((curve.len() as u32, suggested.num_iters), (suggested.num_steps, 40));
    let ratio = curve[1].lr / curve[0].lr;
    assert!(curve.windows(2).all(|pair| (pair[1].lr / pair[0].lr / ratio - 1.0).abs() < 1e-9));
    assert!((curve[0].lr - 1e-5).abs() < 1e-15);
    assert!(fs_err::read(space.path("lr/curve.png")).expect("a picture").starts_with(b"\x89PNG"));
    find(&space, &finder(|_| ()), "again");
    for file in ["lr.json", "curve.parquet", "curve.png"] {
        let read = |output: &str| fs_err::read(space.path(output).join(file)).expect("read");
        assert!(read("lr") == read("again"), "{file}");
    }

    let mut auto = params(2, 0);
    auto.optim_wrapper.optimizer = sgd("auto");
    auto.param_scheduler.clear();
    let lr = ("lr", input(space.path("lr/lr.json")));
    let plan = |params: &TrainParams, inputs: Vec<(&str, Input)>| {
        let frames = Input { digest: "f00d".into(), ..input(space.path("frames")) };
        let known = [("frames", frames), ("samples", input(space.path("samples")))];
        Bench::new(&Train, params, known.into_iter().chain(inputs), 2).plan()
    };
    let mut same_rate = auto.clone();
    same_rate.optim_wrapper.optimizer = sgd(suggested.lr);
    let expect = plan(&same_rate, vec![]).expect("planned");
    assert_eq!(same(&expect, &plan(&auto, vec![lr.clone()]).expect("planned")), [0, 1]);
    // Steps with more clips have a warning, or another rate.
    auto.train_dataloader.batch_size = 4;
    let planned_lr = |auto: &TrainParams| {
        let parts = plan(auto, vec![lr.clone()]).expect("planned");
        let lr = parts[0].fields.iter().find(|(path, _)| path == &["lr"]).map(|(_, lr)| lr.parse::<f64>());
        lr.expect("a rate").expect("a number")
    };
    assert!((planned_lr(&auto) / suggested.lr - 1.0).abs() < 1e-12);
    let frames = ("frames", input(space.path("frames")));
    let inputs = [frames, ("samples", input(space.path("samples"))), lr.clone()];
    let ran = Bench::new(&Train, &auto, inputs, 2).run(&space.path("doubled"));
    let warning = format!("the learning rate {} was chosen for 2 clips per step, but a step has 4", suggested.lr);
    assert!(ran.warnings.iter().any(|text| text.starts_with(&warning)), "{ran:?}");
    auto.auto_scale_lr = Some(AutoScaleLr { enable: true, base_batch_size: 64 });
    assert!((planned_lr(&auto) / suggested.lr - 2.0).abs() < 1e-12);

    let auto = TrainParams { auto_scale_lr: None, ..auto };
    let error = |params: &TrainParams, inputs| plan(params, inputs).expect_err("refused").chain().join(": ");
    assert_eq!(error(&auto, vec![]), "`optim_wrapper.optimizer.lr` is `auto`, but the input `lr` is not connected");
    assert_eq!(
        error(&same_rate, vec![lr]),
        format!("the input `lr` is connected, but `optim_wrapper.optimizer.lr` is {}", suggested.lr)
    );
}

fn sgd(lr: impl Into<Value>) -> Optimizer {
    let optimizer = json!({ "type": "SGD", "lr": lr.into(), "momentum": 0.9, "weight_decay": 1e-4 });
    serde_json::from_value(optimizer).expect("an optimiser")
}

#[test]
fn rates_that_are_too_low_suggest_nothing() {
    let space = Space::new();
    let low = finder(|params| (params.start_lr, params.end_lr, params.num_iters) = (1e-12, 1e-11, 20));
    let ran = find(&space, &low, "low");
    let error = ran.result.expect_err("no suggestion");
    assert_eq!(error.chain(), ["the loss falls at none of the learning rates of 20 steps"]);
    assert!(error.help().is_some_and(|help| help.contains("raise `end_lr`")), "{:?}", error.help());
}

#[test]
fn the_experiment_ends_when_the_loss_rises() {
    let space = Space::new();
    let high = finder(|params| (params.end_lr, params.num_iters) = (1e6, 60));
    let ran = find(&space, &high, "high");
    let curve: Vec<LrCurveRow> = read_rows(&space.path("high/curve.parquet")).expect("a curve");
    assert!(curve.len() < 60, "{} steps", curve.len());
    let line = format!("ended after {} of 60 steps, because the loss rose", curve.len());
    assert!(ran.lines().contains(&line), "{ran:?}");
}
