//! The smoke pipeline on generated clips: it learns motion, a second run does nothing, and with shuffled labels it learns nothing.

#![expect(clippy::print_stdout, reason = "the share of the marked pixels is a figure to look at")]

use crate::explain::{coverage, of_motion};
use crate::space::{Space, run_args};
use pipe_testkit::repository;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[test]
fn smoke_learns_motion_and_a_second_run_does_nothing() {
    let space = Space::new();
    let first = space.run("smoke", &[]).ok();
    assert_eq!(first.run_finished()["ran"], 10);
    let metrics = space.json("smoke", "eval", "metrics.json");
    assert!(metrics["top1"].as_f64().unwrap() >= 0.9, "{metrics}");
    assert!(metrics["top5"].as_f64().unwrap() >= metrics["top1"].as_f64().unwrap(), "{metrics}");
    assert_eq!((metrics["num_videos"].as_u64(), metrics["num_missing"].as_u64()), (Some(80), Some(0)), "{metrics}");
    let parity = space.json("smoke", "onnx", "parity.json");
    assert_eq!(parity["top1_agreement"].as_f64(), Some(1.0), "{parity}");

    let int8 = space.json("smoke", "int8", "report.json");
    assert!(int8["onnx_share"].as_f64().unwrap() < 0.3, "{int8}");
    let table = space.json("smoke", "table", "metrics.json");
    let [baseline, int8] = [0, 1].map(|row| table["rows"][row]["accuracy"].as_f64().unwrap());
    assert!((baseline - metrics["top1"].as_f64().unwrap()).abs() < 1e-9 && int8 > baseline - 0.05, "{table}");

    let second = space.run("smoke", &[]).ok();
    assert_eq!(second.run_finished()["hits"], 10);
    assert_eq!(second.run_finished()["ran"], 0);
    assert_eq!(second.digests(), first.digests());
    assert!(!second.events.iter().any(|event| event["event"] == "stage_started"), "no stage may start");
    let args = run_args("smoke", &[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut secs: Vec<f64> = (0..5).map(|_| space.cpu_secs(&args)).collect();
    secs.sort_by(f64::total_cmp);
    assert!(secs[2] <= 0.05, "the median of five runs with nothing to do took {} s of CPU: {secs:?}", secs[2]);
    check_evidence(&space);
}

/// The evidence for a motion is where the shape moves. The control has the weights that training starts from.
fn check_evidence(space: &Space) {
    let untrained = "stages.untrained={ uses: train, inputs: { frames: frames, samples: samples }, with: { model: { backbone: { type: \
                     ResNetTSM, depth: 18, base_channels: 16, shift_div: 4 }, cls_head: { dropout_ratio: 0.0 } }, optim_wrapper: { optimizer: \
                     { type: SGD, lr: 1.0e-12 } }, train_cfg: { max_epochs: 1 } } }";
    let stages = [of_motion("why", "model"), of_motion("control", "untrained"), untrained.to_owned()];
    space.run("smoke", &[stages[0].as_str(), &stages[1], &stages[2]]).ok();
    let (marked, chance) = coverage(space, "smoke", "why");
    let (of_control, _) = coverage(space, "smoke", "control");
    let faithfulness = space.json("smoke", "why", "faithfulness.json");
    let on_shape =
        format!("on the moving shape: {marked:.3} of the marked pixels, untrained {of_control:.3}, chance {chance:.3}");
    println!("{on_shape}");
    let text = format!("{on_shape}; {faithfulness}");
    assert!(marked > 2.0 * chance && marked > 1.3 * of_control, "{text}");
    let mean = |name: &str| faithfulness[name].as_f64().unwrap();
    assert!(mean("without_marked") < mean("without_random") - 0.02, "{text}");
    assert_eq!(faithfulness["num_test_videos"], 80, "{text}");
}

/// The same clips with labels of other classes: what it memorises does not help on the test groups.
#[test]
fn with_shuffled_labels_accuracy_stays_near_chance() {
    let space = Space::new();
    space.run("smoke", &["stages.clips.with.groups=14", "stages.clips.with.test_groups=6", "vars.epochs=1"]).ok();
    shuffle(&space.path(".pipe/out/smoke/clips/videos"), &space.path("shuffled"));
    let lists = space.path(".pipe/out/smoke/clips/lists").display().to_string();
    let pipeline = repository().join("pipelines/smoke.yaml");
    space.write(
        "control.yaml",
        &format!(
            "pipeline: control\nextends: [{}]\nstages:\n  clips: null\n  videos: !replace {{ uses: ingest, with: {{ root: shuffled }} }}\n  \
             labels: {{ inputs: {{ lists: null }}, with: {{ root: {lists} }} }}\n",
            pipeline.display()
        ),
    );
    space.run("control.yaml", &["vars.epochs=4"]).ok();
    let metrics = space.json("control", "eval", "metrics.json");
    // 60 test clips of 5 classes: chance is 0.2, and 0.4 is almost four standard deviations above it.
    assert!(metrics["top1"].as_f64().unwrap() < 0.4, "{metrics}");
    assert_eq!(metrics["num_videos"], 60);
}

/// Copies all clips to new places: each gets the name of another clip, by a fixed permutation over all classes.
fn shuffle(from: &Path, to: &Path) {
    let mut clips = BTreeMap::new();
    for class in fs::read_dir(from).unwrap().map(Result::unwrap) {
        for clip in fs::read_dir(class.path()).unwrap().map(Result::unwrap) {
            let name = clip.path().strip_prefix(from).unwrap().display().to_string();
            // The digest of the name is as good as random, and the same every time.
            clips.insert(blake3::hash(name.as_bytes()).to_hex().to_string(), name);
        }
    }
    let shuffled: Vec<&String> = clips.values().collect();
    let mut names = shuffled.clone();
    names.sort();
    for (content, name) in shuffled.into_iter().zip(names) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(from.join(content), path).unwrap();
    }
}
