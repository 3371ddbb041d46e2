//! A mistake is reported at the value that the user has to change, and no other mistake is reported because of it.

use fs_err as fs;
use pipe_engine::{Problem, load};

/// A stage whose output `s` fits every input.
const ANY: &str = "  s: { uses: command, with: { shell: 'touch \"${outputs.s}\"', outputs: { s: s } } }";

/// Returns the mistakes of a pipeline with a stage `s`, that writes anything, and `stages` from line 4 on, in the order of the file.
fn problems(stages: &str) -> Vec<Problem> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    fs::write(&path, format!("pipeline: p\nstages:\n{ANY}\n{stages}\n")).expect("written");
    load(&path, &[]).map(drop).map_err(|problems| problems.0).err().unwrap_or_default()
}

/// Compares the mistakes of a pipeline with a stage `s`, that writes anything, and `stages` from line 4 on. Each is given as line, column,
/// message and help.
#[track_caller]
fn check(stages: &str, expect: &[(usize, usize, &str, &str)]) {
    let problems = problems(stages);
    let found: Vec<_> = problems
        .iter()
        .map(|problem| {
            let (line, column) = problem.place.line_column();
            (line, column, problem.message.as_str(), problem.help.as_deref().unwrap_or_default())
        })
        .collect();
    assert_eq!(found, expect, "{stages}");
}

/// Returns a stage `train` with these parameters, each in a line of its own from line 7 on.
fn train(params: &str) -> String {
    format!("  t:\n    uses: train\n    inputs: {{ frames: s, samples: s }}\n    with:\n{params}")
}

#[test]
fn a_value_that_its_type_refuses_is_reported_at_the_value() {
    let devices = "expected `auto`, `cpu` or `cuda:0`";
    let message = |text: &str| format!("`device`: `{text}` is not a device; {devices}");
    for text in ["tpu", "cuda:-1"] {
        check(&train(&format!("      seed: 1\n      device: {text}")), &[(9, 15, &message(text), "")]);
    }
    // All mistakes are reported at once, in the order of the file.
    let seed = "`seed`: -1 is below the minimum 0";
    check(&train("      device: tpu\n      seed: -1"), &[(8, 15, &message("tpu"), ""), (9, 13, seed, "")]);
}

#[test]
fn a_parameter_with_a_mistake_is_not_missing() {
    let clip = |fields: &str| train(&format!("      optim_wrapper: {{ clip_grad: {fields} }}"));
    let below = "`optim_wrapper.clip_grad.max_norm`: -1 is below the minimum 0.0";
    check(&clip("{ max_norm: -1 }"), &[(8, 47, below, "")]);
    let missing = "`optim_wrapper.clip_grad.max_norm`: is missing: `type: norm` needs it";
    check(&clip("{ norm_type: 1 }"), &[(8, 35, missing, "add `max_norm`")]);
    // Other maps are still checked.
    let both = "      optim_wrapper: { clip_grad: { max_norm: -1 } }\n      train_cfg: { max_epochs: 2, max_iters: 2 }";
    let excludes = "`train_cfg.max_iters`: excludes `max_epochs`";
    check(&train(both), &[(8, 47, below, ""), (9, 46, excludes, "remove one of the two")]);
}

#[test]
fn inputs_that_depend_on_a_parameter_with_a_mistake_are_not_missing() {
    let stage = |inputs: &str, with: &str| {
        format!("  e: {{ uses: evaluate, inputs: {{ {inputs}frames: s, samples: s }}, with: {{ {with} }} }}")
    };
    let engine = "`engine`: expected one of `libtorch`, `onnxruntime`, `openvino`, found the text \"tflite\"";
    check(&stage("exported: s, ", "engine: tflite"), &[(4, 88, engine, "")]);
    let size = "`batch_size`: 0 is below the minimum 1";
    check(&stage("exported: s, ", "engine: openvino, batch_size: 0"), &[(4, 110, size, "")]);
    let missing = "the input `model` of the stage `e` is not connected";
    check(&stage("", ""), &[(4, 3, missing, "inputs: { model: STAGE }, with a stage that writes model")]);
}

#[test]
fn of_two_inputs_that_exclude_each_other_one_is_the_place() {
    let unread = "the stage `e` ignores its input `exported` with these parameters";
    let stage = "  e: { uses: evaluate, inputs: { model: s, exported: s, frames: s, samples: s } }";
    check(stage, &[(4, 44, unread, "remove the input")]);
    let both = "the stage `m` has both `label_map` and the input `classes`";
    let stage = "  m:\n    uses: pretrained\n    inputs: { samples: s, weights: s, classes: s }\n    with: { label_map: p.yaml }";
    let absent = "p.yaml does not exist";
    check(
        stage,
        &[(6, 39, both, "remove one of the two"), (7, 24, absent, "paths are relative to the current folder")],
    );
}

#[test]
fn more_epochs_than_are_drawn_are_a_mistake() {
    let stages = |augment: &str, train: &str| {
        format!(
            "  a: {{ uses: augment, inputs: {{ frames: s, labels: s }}, with: {{ {augment} }} }}\n  \
             t: {{ uses: train, inputs: {{ frames: s, samples: a }}, with: {{ train_cfg: {{ {train} }} }} }}"
        )
    };
    check(&stages("epochs: 3", "max_epochs: 3"), &[]);
    check(&stages("epochs: 3", "max_iters: 1000"), &[]);
    let message = |read: u32| format!("`train_cfg.max_epochs` is {read}, but the stage `a` draws only 3");
    let help = |read: u32| format!("set `epochs: {read}` in the stage `a`, or lower `train_cfg.max_epochs`");
    check(&stages("epochs: 3", "max_epochs: 4"), &[(5, 89, &message(4), &help(4))]);
    check(&stages("epochs: 3", "val_interval: 1"), &[(5, 75, &message(50), &help(50))]);
    // With a mistake in the parameters, the number is not known.
    check(&stages("epochs: 0", "max_epochs: 99"), &[(4, 73, "`epochs`: 0 is below the minimum 1", "")]);
}

#[test]
fn the_baseline_of_a_benchmark_is_connected() {
    let stage = |inputs: &str, with: &str| {
        format!("  b: {{ uses: benchmark, inputs: {{ frames: s, samples: s{inputs} }}, with: {{ {with} }} }}")
    };
    check(&stage(", baseline: s", ""), &[]);
    check(&stage(", float: s", "baseline: float"), &[]);
    let help = |port: &str| {
        format!(
            "inputs: {{ {port}: STAGE }}, with a stage that writes a model or an ONNX file; or set `baseline` to the name of another \
             input"
        )
    };
    let missing = "the input `baseline` of the stage `b` is not connected";
    check(&stage(", float: s", ""), &[(4, 3, missing, &help("baseline"))]);
    let other = "`baseline`: the stage `b` has no input `flaot`";
    check(&stage(", float: s", "baseline: flaot"), &[(4, 88, other, &help("flaot"))]);
}

#[test]
fn a_variant_of_a_benchmark_is_one_network() {
    let stages = |variant: &str| {
        format!(
            "  o: {{ uses: optimize, inputs: {{ model: s, frames: s, samples: s }}, with: {{ quantize: {{ type: int8 }} }} }}\n  \
             x: {{ uses: export, inputs: {{ model: s, frames: s, samples: s }} }}\n  t: {{ uses: train, inputs: {{ frames: s, samples: s \
             }} }}\n  b: {{ uses: benchmark, inputs: {{ frames: s, samples: s, {variant} }} }}"
        )
    };
    for network in ["o.model", "o.onnx", "x", "x.onnx", "t", "t.last", "s"] {
        check(&stages(&format!("baseline: {network}")), &[]);
    }
    let several = "the stage `o` writes a model and an ONNX file";
    check(&stages("baseline: o"), &[(7, 68, several, "use `o.model` or `o.onnx`")]);
    let none = "the input `baseline` takes model or onnx, but `o.report` is metrics";
    check(&stages("baseline: o.report"), &[(7, 68, none, "use `o.model` or `o.onnx` or `x` or `t` or `t.last`")]);
    let misspelt = "the input `fraems` takes model or onnx, but `o.report` is metrics";
    check(&stages("baseline: x, fraems: o.report"), &[(7, 79, misspelt, "did you mean the input `frames`?")]);
}

#[test]
fn a_precision_is_checked_with_the_engine_that_is_meant() {
    let stage = |with: &str| {
        format!("  e: {{ uses: evaluate, inputs: {{ frames: s, samples: s, exported: s }}, with: {{ {with} }} }}")
    };
    check(&stage("engine: openvino, precision: bfloat16"), &[]);
    let help = "use `float32`, or `engine: openvino`, which runs exported files";
    let message = "`precision`: `engine: onnxruntime` does not compute in bfloat16";
    check(&stage("engine: onnxruntime, precision: bfloat16"), &[(4, 112, message, help)]);
    let misspelt = "`engine`: expected one of `libtorch`, `onnxruntime`, `openvino`, found the text \"openvion\"";
    check(&stage("engine: openvion, precision: bfloat16"), &[(4, 88, misspelt, "did you mean `openvino`?")]);
}

#[test]
fn mistakes_that_do_not_depend_on_each_other_are_reported_at_once() {
    // In the same map.
    let unused = "`optim_wrapper.clip_grad.max_norm`: has no effect with `type: value`";
    let below = "`optim_wrapper.clip_grad.clip_value`: -1 is below the minimum 0.0";
    let clip = train("      optim_wrapper: { clip_grad: { type: value, max_norm: 3, clip_value: -1 } }");
    check_messages(&clip, &[unused, below]);
    // Beside a parameter that does not exist.
    let stages = "  a: { uses: augment, inputs: { frames: s, labels: s }, with: { epochs: 3 } }\n  t: { uses: train, inputs: { frames: s, \
                  samples: a }, with: { foo: 1, train_cfg: { max_epochs: 4 } } }";
    let epochs = "`train_cfg.max_epochs` is 4, but the stage `a` draws only 3";
    check_messages(stages, &["unknown parameter `foo`", epochs]);
    // An input that depends on no parameter with a mistake.
    let model = "the input `model` of the stage `e` is not connected";
    let size = "`batch_size`: 0 is below the minimum 1";
    check_messages(
        "  e: { uses: evaluate, inputs: { frames: s, samples: s }, with: { batch_size: 0 } }",
        &[model, size],
    );
    let baseline = "the input `baseline` of the stage `b` is not connected";
    let runs = "`num_runs`: 0 is below the minimum 1";
    check_messages(
        "  b: { uses: benchmark, inputs: { frames: s, samples: s, x: s }, with: { num_runs: 0 } }",
        &[baseline, runs],
    );
}

/// Compares the messages of the mistakes, in the order of the file.
#[track_caller]
fn check_messages(stages: &str, expect: &[&str]) {
    let problems = problems(stages);
    let found: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(found, expect, "{stages}");
}
