//! Trainings that stop early, and what they monitor.

use super::*;

fn stopping(patience: u32) -> TrainParams {
    // No improvement is large enough.
    let early_stopping = EarlyStopping { monitor: "loss".into(), patience, min_delta: 1e9, rule: None };
    TrainParams { early_stopping: Some(early_stopping), ..params(5, 1) }
}

/// Trains the epochs after `earlier`. Returns all epochs that exist then, and how many of them are new.
fn train_until_it_stops(space: &Space, params: &TrainParams, earlier: &[MadePart]) -> (Vec<MadePart>, usize) {
    let parts: Vec<_> = (earlier.len()..5).map(|epoch| part_in(&space.path("parts"), &format!("{epoch:04}"))).collect();
    let folders: Vec<PathBuf> = parts.iter().map(|part| part.folder.clone()).collect();
    let mut made: Vec<MadePart> = earlier.iter().cloned().chain(parts.iter().map(MakePart::made)).collect();
    let Making { result, finished } = space.bench(params).make(MakeParts { earlier: earlier.to_vec(), parts });
    assert_eq!(result.expect("trained"), Made::ChainEnded);
    made.truncate(earlier.len() + finished.len());
    // The engine makes the folders again when it asks again.
    folders.iter().skip(finished.len()).for_each(|folder| fs_err::remove_dir(folder).expect("removed"));
    (made, finished.len())
}

#[test]
fn a_changed_patience_trains_only_epochs_that_do_not_exist() {
    let space = Space::new();
    let all: Vec<usize> = (0..5).collect();
    assert_eq!(same(&space.plan(&stopping(1)), &space.plan(&stopping(2))), all);
    assert_eq!(same(&space.plan(&stopping(1)), &space.plan(&params(5, 1))), all);
    let (made, num_new) = train_until_it_stops(&space, &stopping(2), &[]);
    assert_eq!((made.len(), num_new), (3, 3));
    let (made, num_new) = train_until_it_stops(&space, &stopping(3), &made);
    assert_eq!((made.len(), num_new), (4, 1));
    let (made, num_new) = train_until_it_stops(&space, &stopping(1), &made);
    assert_eq!((made.len(), num_new), (4, 0));

    // The second epoch is the best by all metrics.
    best::write_metrics(&made, &[3.0, 1.0, 2.0, 2.0], &[0.1, 0.9, 0.5, 0.5]);
    let ran = space.assemble(&stopping(1), &made, "out");
    assert_eq!(space.log("out").len(), 2, "as if training had ended there");
    assert_eq!(ran.lines()[1], "stopped early: loss did not improve in 1 validation");
    let summary = ran.result.expect("assembled");
    assert_eq!((summary.used_parts, summary.kept_states), (Some(2), Some(vec!["0001".into()])));
    let card = ModelFolder::open(space.path("out/model")).card().expect("a card");
    assert_eq!(card.epochs, 2);

    let last = TrainParams {
        checkpoint: CheckpointParams { keep: KeepStates::Last, ..CheckpointParams::default() },
        ..stopping(2)
    };
    let summary = space.assemble(&last, &made, "last-out").result.expect("assembled");
    assert_eq!((summary.used_parts, summary.kept_states), (Some(3), Some(vec!["0002".into()])));

    // A smaller patience ends with the second epoch, more epochs continue from the last one, and another milestone from the one
    // before it.
    let milestones = TrainParams { param_scheduler: vec![multi_step(1)], ..stopping(2) };
    let of_step = json!({ "type": "MultiStepLR", "milestones": [3], "by_epoch": false });
    let milestones_by_step = TrainParams { param_scheduler: vec![scheduler(of_step)], ..stopping(2) };
    let all = CheckpointParams { keep: KeepStates::All, ..CheckpointParams::default() };
    let kept =
        |params: &TrainParams, out: &str| space.assemble(params, &made, out).result.expect("assembled").kept_states;
    let every = ["0000", "0001", "0002"].map(String::from).to_vec();
    assert_eq!(kept(&stopping(2), "stopping-out"), Some(every[1..].to_vec()));
    assert_eq!(kept(&milestones, "milestones-out"), Some(every.clone()));
    assert_eq!(kept(&milestones_by_step, "milestones-by-step-out"), Some(every.clone()));
    assert_eq!(kept(&TrainParams { checkpoint: all, ..milestones }, "all-out"), Some(every));
}

#[test]
fn monitors_are_checked() {
    let space = Space::new();
    let check = |change: &dyn Fn(&mut TrainParams), expect: &str| {
        let mut params = stopping(1);
        change(&mut params);
        assert_eq!(space.bench(&params).plan().expect_err("an error").chain(), [expect]);
    };
    let stopping =
        |monitor: &str, rule| Some(EarlyStopping { monitor: monitor.into(), patience: 1, min_delta: 0.0, rule });
    check(
        &|params| params.early_stopping = stopping("mean_average_precision", None),
        "`mean_average_precision` is not a metric of the validation; expected one of top1, top5, mean_class_accuracy, loss",
    );
    check(
        &|params| params.early_stopping = stopping("top1", Some(Rule::Less)),
        "`monitor: top1` needs `rule: greater`",
    );
    check(
        &|params| params.train_cfg.val_interval = 0,
        "`monitor: loss` needs a validation, but `val_interval` is 0, `val_begin` is after the last epoch or there are no test \
         samples",
    );
    check(
        &|params| params.model.cls_head.loss_cls = Some(Loss::default_for(Labelling::MultiLabel)),
        "the loss `model.cls_head.loss_cls` is not defined for videos with one label",
    );
}
