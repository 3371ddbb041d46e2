//! Training that ends before its last epoch: by early stopping, and by Ctrl-C.

use crate::space::{RunOutput, Space, run_args, run_output, tiny};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The loss never falls by so much: training ends after `patience` epochs without an improvement.
fn settings(patience: u32) -> String {
    format!("stages.model.with.early_stopping={{ monitor: loss, patience: {patience}, min_delta: 1000 }}")
}

fn run(space: &Space, settings: &[&str]) -> RunOutput {
    space.run_tiny(&[&["vars.epochs=6", "stages.model.with.train_cfg.val_interval=1"], settings].concat()).ok()
}

/// Returns the number of reused and of trained epochs.
fn epochs(run: &RunOutput) -> (u64, u64) {
    let parts = &run.stage("model")["parts"];
    (parts["hits"].as_u64().unwrap(), parts["ran"].as_u64().unwrap())
}

/// Returns the first line of the summary up to the first comma: the number of epochs that the model has.
fn used(run: &RunOutput) -> String {
    run.stage("model")["summary"][0].as_str().unwrap().split(',').next().unwrap().to_owned()
}

/// What `patience` changes is which epochs are used.
#[test]
fn another_patience_trains_no_epoch_again() {
    let space = Space::new();
    assert!(tiny(&[]).iter().any(|setting| setting.starts_with("vars.epochs=")), "overridden here");
    let three = run(&space, &[&settings(2)]);
    assert_eq!((epochs(&three), used(&three)), ((0, 3), "3 epochs".into()));
    let stopped = three.stage("model")["summary"].to_string();
    assert!(stopped.contains("stopped early: loss did not improve in 2 validations"), "{stopped}");

    let two = run(&space, &[&settings(1)]);
    assert_eq!((epochs(&two), used(&two)), ((3, 0), "2 epochs".into()), "a smaller patience uses fewer of them");
    let five = run(&space, &[&settings(4)]);
    assert_eq!((epochs(&five), used(&five)), ((3, 2), "5 epochs".into()), "a larger one goes on");
    let all = run(&space, &[]);
    assert_eq!((epochs(&all), used(&all)), ((5, 1), "6 epochs".into()), "without a rule, the rest is trained");

    let again = run(&space, &[&settings(2)]);
    assert_eq!((again.stages("ran").len(), again.stage("model")["outcome"].as_str()), (0, Some("hit")));
    assert_eq!(again.digests(), three.digests());
}

/// What `save_best` changes is which epoch the model is from.
#[test]
fn another_save_best_trains_no_epoch_again() {
    let space = Space::new();
    let run = |save_best: &str, epochs: u32| {
        let epochs = format!("vars.epochs={epochs}");
        let (save_best, constant) = (
            format!("stages.model.with.checkpoint={{ save_best: {save_best} }}"),
            "stages.model.with.param_scheduler=[]",
        );
        space.run_tiny(&[&epochs, "stages.model.with.train_cfg.val_interval=1", constant, &save_best]).ok()
    };
    let is_best = |run: &RunOutput, metric: &str| {
        let summary = run.stage("model")["summary"].to_string();
        assert!(
            summary.contains("the model is from epoch ") && summary.contains(&format!("best test {metric}, ")),
            "{summary}"
        );
    };
    let last = run("null", 4);
    assert_eq!(epochs(&last), (0, 4));
    let loss = run("loss", 4);
    assert_eq!(epochs(&loss), (4, 0));
    is_best(&loss, "loss");
    let auto = run("auto", 4);
    assert_eq!(epochs(&auto), (4, 0));
    is_best(&auto, "top1");
    let longer = run("auto", 5);
    assert_eq!(epochs(&longer), (4, 1));
    is_best(&longer, "top1");
}

/// Runs the tiny pipeline with many epochs, and stops it with one Ctrl-C at the first event that `is_time` accepts.
fn interrupted(space: &Space, is_time: impl Fn(&Value) -> bool) -> (RunOutput, Duration) {
    let args = run_args("smoke", &tiny(&["vars.epochs=40"]));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut child = space.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut stdout = String::new();
    for line in lines.by_ref() {
        let event: Value = serde_json::from_str(&line).unwrap();
        stdout += &(line + "\n");
        if is_time(&event) {
            break;
        }
    }
    let since = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    lines.for_each(|line| stdout += &(line + "\n"));
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let output = run_output(&Output { status, stdout: stdout.into_bytes(), stderr });
    assert_eq!(output.code, Some(130), "{}", output.stderr);
    (output, since.elapsed())
}

fn is_about_model(event: &Value, kind: &str) -> bool {
    event["event"] == kind && event["stage"] == "model"
}

/// A busy machine may need seconds for the rest of a run, but hardly this often in a row.
const ATTEMPTS: usize = 3;

/// A cancellation that arrives before the worker has begun is not lost: else, it would take 5 s until the worker is killed.
#[test]
fn ctrl_c_ends_a_training_that_has_just_started() {
    let space = Space::new();
    for millis in [0, 20, 50, 100, 150, 250, 400] {
        let attempt = |_| {
            let (output, time) = interrupted(&space, |event| {
                let is_time = is_about_model(event, "stage_started");
                std::thread::sleep(Duration::from_millis(if is_time { millis } else { 0 }));
                is_time
            });
            assert_eq!(output.stage("model")["outcome"], "skipped");
            time
        };
        let in_time = (0..ATTEMPTS).map(attempt).any(|time| time < Duration::from_secs(4));
        assert!(in_time, "{millis} ms after its start: the worker was killed");
    }
}

#[test]
fn after_ctrl_c_the_epochs_that_are_kept_are_counted() {
    let space = Space::new();
    let (output, _) = interrupted(&space, |event| {
        // The third epoch is complete when the fourth measures something.
        is_about_model(event, "stage_measured") && event["values"]["epoch"].as_f64() == Some(4.0)
    });
    let model = output.stage("model");
    let line = model["summary"][0].as_str().unwrap();
    let kept: u64 = line.split(' ').next().unwrap().parse().unwrap();
    assert!(kept >= 3, "{line}");
    assert_eq!(line, format!("{kept} of 40 epochs are kept: the next run continues from there"));
    let again = space
        .run_tiny(&["vars.epochs=40", "stages.eval=null", "stages.onnx=null", "stages.int8=null", "stages.table=null"])
        .ok();
    assert_eq!(epochs(&again), (kept, 40 - kept));
}
