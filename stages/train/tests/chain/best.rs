//! Which epoch the model is from, and which states are kept for that.

use super::*;
use pipe_tables::write_training_log;

/// Replaces the results of the validations, so that a test decides which epoch is the best: `losses`, and a value of all other metrics.
pub(super) fn write_metrics(made: &[MadePart], losses: &[f64], others: &[f64]) {
    for (part, (loss, other)) in made.iter().zip(losses.iter().zip(others)) {
        let path = part.note("log.parquet");
        let mut rows = read_training_log(&path).expect("a log");
        let validation = rows[0].validation.as_mut().expect("a validation");
        for (name, value) in &mut validation.values {
            *value = if name == "loss" { *loss } else { *other };
        }
        write_training_log(&path, &rows).expect("written");
    }
}

fn saving(save_best: Option<&str>) -> TrainParams {
    let checkpoint = CheckpointParams { save_best: save_best.map(str::to_owned), ..CheckpointParams::default() };
    TrainParams { checkpoint, ..params(4, 1) }
}

#[test]
fn the_model_is_from_the_best_epoch_if_that_is_asked_for() {
    let space = Space::new();
    assert_eq!(same(&space.plan(&saving(None)), &space.plan(&saving(Some("loss")))), [0, 1, 2, 3]);
    let made = space.train(&saving(None), &[], 4, "parts");
    write_metrics(&made, &[3.0, 1.0, 1.0, 2.0], &[1.0, 0.5, 0.5, 0.5]);
    let checkpoint = |output: &str, port: &str| {
        let folder = ModelFolder::open(space.path(output).join(port));
        let epochs = folder.card().expect("a card").epochs;
        (epochs, fs_err::read(folder.checkpoint_path()).expect("a checkpoint"))
    };
    let assemble = |save_best: Option<&str>, output: &str| {
        let ran = space.assemble(&saving(save_best), &made, output);
        let lines = ran.lines().to_vec();
        (lines, ran.result.expect("assembled").kept_states.expect("states"))
    };
    // The best epochs by loss and by the other metrics are kept whatever is asked for; the last milestone is epoch 2.
    let (lines, kept) = assemble(None, "last-out");
    assert_eq!(kept, ["0000", "0001", "0003"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (lines, _) = assemble(Some("loss"), "best-out");
    assert_eq!(lines[1], "the model is from epoch 2 of 4, with the best test loss, 1.00");
    let (lines, _) = assemble(Some("auto"), "auto-out");
    assert_eq!(lines[1], "the model is from epoch 1 of 4, with the best test top1, 1.00");

    let last = checkpoint("last-out", "model");
    assert_eq!(last.0, 4);
    for output in ["last-out", "best-out", "auto-out"] {
        assert!(checkpoint(output, "last") == last, "{output}");
    }
    // The best model is the one that training for two epochs gives.
    space.assemble(&params(2, 1), &made[..2], "two-out");
    let best = checkpoint("best-out", "model");
    assert!(best.0 == 2 && best == checkpoint("two-out", "model") && best != last);
    assert!(checkpoint("auto-out", "model").0 == 1);
}

/// The state of the best epoch was dropped, for example because `keep` was `last`.
#[test]
fn a_missing_state_of_the_best_epoch_is_asked_for() {
    let space = Space::new();
    let mut made = space.train(&saving(None), &[], 4, "parts");
    write_metrics(&made, &[3.0, 1.0, 2.0, 2.0], &[1.0, 0.5, 0.5, 0.5]);
    made[1].state = None;
    let ran = space.bench(&saving(Some("loss"))).assemble(&made, &space.path("out"));
    assert_eq!(ran.result.expect_err("a state is missing").needed_state(), Some("0001"));
    space.assemble(&saving(Some("top1")), &made, "top1-out");
    // With `last`, no other state is kept than the last one and that of the best epoch; `interval` adds some.
    let checkpoint = CheckpointParams { keep: KeepStates::Last, interval: Some(3), ..saving(Some("top1")).checkpoint };
    let ran = space.assemble(&TrainParams { checkpoint, ..params(4, 1) }, &made, "interval-out");
    let kept = ran.result.expect("assembled").kept_states;
    assert_eq!(kept, Some(["0000", "0002", "0003"].map(String::from).to_vec()));
}

#[test]
fn the_metric_of_the_best_epoch_is_checked() {
    let space = Space::new();
    let check = |params: &TrainParams, expect: &str| {
        assert_eq!(space.bench(params).plan().expect_err("refused").chain(), [expect]);
    };
    check(
        &saving(Some("accuracy")),
        "`accuracy` is not a metric of the validation; expected one of top1, top5, mean_class_accuracy, loss",
    );
    let mut rising = saving(Some("loss"));
    rising.checkpoint.rule = Some(Rule::Greater);
    check(&rising, "`save_best: loss` needs `rule: less`");
    let mut late = saving(Some("auto"));
    late.train_cfg.val_begin = 5;
    check(
        &late,
        "`save_best: top1` needs a validation, but `val_interval` is 0, `val_begin` is after the last epoch or there are no test \
         samples",
    );
}
