//! `optimize`: pruning, training the pruned network again, and int8.

use crate::space::{RunOutput, Space};

const MODEL: &str =
    "backbone: { type: ResNetTSM, depth: 18, base_channels: 16, shift_div: 4 }, cls_head: { dropout_ratio: 0.0 }";

/// Adds the stages `pruned`, with `prune`, and `int8` of the network that was trained again.
fn run(space: &Space, prune: &str, settings: &[&str]) -> RunOutput {
    let inputs = "frames: frames, samples: samples";
    let pruned =
        format!("stages.pruned={{ uses: optimize, inputs: {{ model: model, {inputs} }}, with: {{ prune: {prune} }} }}");
    let tuned = format!(
        "stages.tuned={{ uses: train, inputs: {{ model: pruned, {inputs} }}, with: {{ model: {{ {MODEL} }}, train_dataloader: \
         {{ batch_size: 8 }}, train_cfg: {{ max_epochs: 1 }} }} }}"
    );
    let eval = format!("stages.tuned_eval={{ uses: evaluate, inputs: {{ model: tuned, {inputs} }} }}");
    let onnx = format!("stages.tuned_onnx={{ uses: export, inputs: {{ model: tuned, {inputs} }} }}");
    let int8 = format!(
        "stages.int8={{ uses: optimize, inputs: {{ model: tuned, {inputs} }}, with: {{ quantize: {{ type: int8, num_clips: 4 }} }} }}"
    );
    space.run_tiny(&[&[pruned.as_str(), &tuned, &eval, &onnx, &int8], settings].concat())
}

const HALF: &str = "{ type: channels, target: { macs: 0.5 }, tolerance: 0.1, min_channels: 2, round_to: 2 }";

#[test]
fn a_pruned_network_is_trained_evaluated_exported_and_quantised() {
    let space = Space::new();
    let first = run(&space, HALF, &[]).ok();
    let report = space.json("smoke", "pruned", "report.json");
    let [before, after] = ["before", "after"].map(|of| report[of]["macs"].as_u64().unwrap());
    let share = after as f64 / before as f64;
    assert!((share - 0.5).abs() <= 0.1, "{report}");
    assert!(report["after"]["num_params"].as_u64() < report["before"]["num_params"].as_u64(), "{report}");
    let whole = report["whole"].as_array().unwrap();
    assert!(whole.iter().any(|layer| layer["name"] == "fc"), "{report}");

    // What was removed is in the folder of the network, and in that of the network trained from it.
    let pruned = space.json("smoke", "pruned", "model/model.json");
    let tuned = space.json("smoke", "tuned", "model/model.json");
    assert!(pruned["pruning"][0].as_object().is_some_and(|groups| !groups.is_empty()), "{pruned}");
    assert_eq!((&tuned["pruning"], &tuned["graph_digest"]), (&pruned["pruning"], &pruned["graph_digest"]));
    assert!(space.json("smoke", "model", "model/model.json")["pruning"].is_null());

    let int8 = space.json("smoke", "int8", "report.json");
    assert!(int8["onnx_share"].as_f64().unwrap() < 0.3 + 0.15, "{int8}");
    assert_eq!(int8["int8"]["num_clips"], 4, "{int8}");
    assert_eq!(int8["int8"]["float"].as_array().map(Vec::len), Some(0), "{int8}");

    // Nothing changed, so nothing runs; another share trains the pruned network again, and nothing before it.
    let second = run(&space, HALF, &[]).ok();
    assert_eq!(second.digests(), first.digests());
    let third = run(&space, &HALF.replace("0.5", "0.7"), &[]).ok();
    let outcome = |stage: &str| third.stage(stage)["outcome"].as_str().unwrap_or_default().to_owned();
    assert_eq!(["model", "pruned", "tuned", "int8"].map(outcome), ["hit", "ran", "ran", "ran"]);
}

#[test]
fn weights_become_zero() {
    let space = Space::new();
    run(&space, "{ type: magnitude, sparsity: 0.75 }", &[]).ok();
    let report = space.json("smoke", "pruned", "report.json");
    let sum = |field: &str| -> u64 {
        report["weights"].as_array().unwrap().iter().map(|tensor| tensor[field].as_u64().unwrap()).sum()
    };
    let share = sum("num_zeros") as f64 / sum("num_weights") as f64;
    assert!((share - 0.75).abs() < 0.001, "{share}");
    assert_eq!(report["before"], report["after"]);
}

#[test]
fn impossible_parameters_are_errors() {
    let space = Space::new();
    let check = |prune: &str, code: i32, expect: &str| {
        let failed = run(&space, prune, &[]);
        assert_eq!(failed.code, Some(code), "{prune}: {}", failed.stderr);
        let text = failed.events.iter().map(ToString::to_string).collect::<String>() + &failed.stderr;
        assert!(text.contains(expect), "{prune}: {text}");
    };
    let channels = |macs: &str| format!("{{ type: channels, target: {{ macs: {macs} }} }}");
    check(&channels("1.5"), 2, "1.5 is not a share");
    check(&channels("0"), 2, "0 is not a share");
    check(&channels("-0.5"), 2, "-0.5 is not a share");
    check("{ type: magnitude, sparsity: 1 }", 2, "1 is not a share");
    check("{ type: channels, min_channels: 1000 }", 1, "0.5 of the multiply-adds can't be reached");
    check(&channels("0.01"), 1, "0.01 of the multiply-adds can't be reached");
    check(&channels("0.01"), 1, "set `prune.target.macs` to 0.");
    let exactly = "{ type: channels, target: { macs: 0.5 }, tolerance: 0.0 }";
    check(exactly, 1, "0.5 of the multiply-adds can't be reached within 0: the nearest is 0.");
    check(exactly, 1, "set `prune.tolerance` to 0.");
}

#[test]
fn a_model_to_start_from_must_be_the_network_of_the_parameters() {
    let space = Space::new();
    let other = "stages.tuned.with.model.backbone.base_channels=8";
    let failed = run(&space, HALF, &[other]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let text = failed.events.iter().map(ToString::to_string).collect::<String>() + &failed.stderr;
    assert!(text.contains("the input `model` is the network"), "{text}");
}
