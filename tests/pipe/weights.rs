//! `pipe model`: what it shows of networks and files of weights, and how it ends on files that are neither.

use crate::snapshot;
use crate::space::Space;
use pipe_graph::ClipShape;
use pipe_models::build;
use pipe_schemas::networks::ModelParams;
use pipe_weights::{Checkpoint, Dtype, Tensor, write_safetensors, write_torch};
use std::collections::BTreeMap;

fn tensor(shape: &[usize], value: f32) -> Tensor {
    Tensor::from_f32(shape.into(), &vec![value; shape.iter().product()])
}

/// Writes `a.pth`, and `b.safetensors` that differs from it in every way.
fn two_files(space: &Space) {
    let mut tensors = BTreeMap::from([
        ("module.conv1.weight".to_owned(), tensor(&[4, 3, 3, 3], 0.5)),
        ("module.bn1.weight".to_owned(), tensor(&[4], 1.0)),
        ("module.bn1.bias".to_owned(), tensor(&[4], 0.0)),
        ("module.fc.weight".to_owned(), tensor(&[10, 4], 0.25)),
        ("module.fc.bias".to_owned(), tensor(&[10], 0.0)),
    ]);
    write_torch(&space.path("a.pth"), &tensors, Some("state_dict")).unwrap();
    tensors = tensors.into_iter().map(|(name, tensor)| (name.replace("module.", ""), tensor)).collect();
    tensors.insert("conv1.weight".into(), tensor(&[4, 3, 3, 3], 0.25));
    tensors.insert("fc.weight".into(), tensor(&[5, 4], 0.25));
    tensors.insert("bn1.bias".into(), Tensor { dtype: Dtype::F16, bytes: vec![0; 8], ..tensor(&[4], 0.0) });
    tensors.remove("fc.bias");
    tensors.insert("classifier.bias".into(), tensor(&[5], 0.0));
    write_safetensors(&space.path("b.safetensors"), &tensors).unwrap();
}

#[test]
fn a_network_is_shown_layer_by_layer() {
    let space = Space::new();
    let args = ["model", "summary", "C3D", "--input", "16,112,112", "--num-classes", "101"];
    snapshot::check_command(&space, "model_summary", &args);
    let output = space.output(&["model", "summary", "tsn_resnet50", "--output", "json"]);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["params"], &summary["num_classes"]), (&25_557_032.into(), &1000.into()));
    let layers = summary["layers"].as_array().unwrap();
    let sum: u64 = layers.iter().map(|layer| layer["macs"].as_u64().unwrap()).sum();
    assert_eq!(Some(sum), summary["macs"].as_u64());
}

#[test]
fn files_are_compared_tensor_by_tensor() {
    let space = Space::new();
    two_files(&space);
    snapshot::check_command(&space, "model_summary_file", &["model", "summary", "a.pth"]);
    snapshot::check_command(&space, "model_diff", &["model", "diff", "a.pth", "b.safetensors"]);
    let output = space.output(&["model", "diff", "a.pth", "b.safetensors", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["values"][0]["max_abs"], &found["num_equal"]), (&0.25.into(), &1.into()));
    assert_eq!(space.output(&["model", "diff", "a.pth", "a.pth"]).status.code(), Some(0));
}

#[test]
fn what_is_neither_a_file_nor_a_network_is_an_error() {
    let space = Space::new();
    space.write("text.pth", "not weights");
    space.write("empty/readme.txt", "");
    for (name, args) in [
        ("error_model_unknown", &["summary", "tsn_resnet5"][..]),
        ("error_model_parameter", &["summary", "ResNet", "--set", "depth=51"]),
        ("error_model_too_small", &["summary", "C3D", "--input", "4,4,4"]),
        ("error_model_input", &["summary", "C3D", "--input", "4,4"]),
        ("error_model_text", &["summary", "text.pth"]),
        ("error_model_folder", &["diff", "empty", "text.pth"]),
    ] {
        snapshot::check_command(&space, name, &[&["model"][..], args].concat());
    }
}

#[test]
fn broken_files_are_errors_and_never_crash() {
    let space = Space::new();
    two_files(&space);
    for file in ["a.pth", "b.safetensors"] {
        let whole = std::fs::read(space.path(file)).unwrap();
        for len in [1, 9, 100, whole.len() / 2, whole.len() - 1] {
            std::fs::write(space.path("cut.pth"), &whole[..len]).unwrap();
            let output = space.output(&["model", "summary", "cut.pth"]);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{file} cut to {len} bytes: {stderr}");
            assert!(stderr.starts_with("error: ") && stderr.contains("cut.pth"), "{stderr}");
        }
    }
}

/// The network of `small`, as arguments.
const SMALL: [&str; 6] = ["--network", "ResNet", "--set", "depth=18", "--set", "base_channels=8"];

/// Writes `small.safetensors`, a narrow ResNet-18 with seven classes whose values all differ, as `train` writes it.
fn small(space: &Space) -> BTreeMap<String, Tensor> {
    resnet18(space, "small.safetensors", 8)
}

fn resnet18(space: &Space, file: &str, base_channels: u32) -> BTreeMap<String, Tensor> {
    let backbone = serde_json::json!({ "type": "ResNet", "depth": 18, "base_channels": base_channels });
    let params = ModelParams { backbone: serde_json::from_value(backbone).unwrap(), ..ModelParams::default() };
    let graph = build(&params, ClipShape { channels: 3, frames: 1, height: 64, width: 64 }, 7).unwrap();
    let mut next = 0.0;
    let mut values = |len: usize| -> Vec<f32> {
        next += len as f32;
        (0..len).map(|at| next - at as f32).collect()
    };
    let tensors = graph
        .params
        .iter()
        .map(|param| (param.name.clone(), Tensor::from_f32(param.shape.clone(), &values(param.len()))))
        .collect();
    write_safetensors(&space.path(file), &tensors).unwrap();
    tensors
}

fn convert(space: &Space, file: &str, to: &str, more: &[&str]) -> std::process::Output {
    space.output(&[&["model", "convert", file, "--to", to], &SMALL[..], more].concat())
}

#[test]
fn a_file_comes_back_from_another_project_bit_for_bit() {
    let space = Space::new();
    let tensors = small(&space);
    let there = convert(&space, "small.safetensors", "mmaction2", &[]);
    assert_eq!(there.status.code(), Some(0), "{}", String::from_utf8_lossy(&there.stderr));
    let renamed = Checkpoint::open(&space.path("small-mmaction2.pth")).unwrap();
    assert_eq!(renamed.origin.wrapper.as_deref(), Some("state_dict"));
    let moved = &renamed.tensors["backbone.layer2.0.downsample.conv.weight"];
    assert_eq!(moved.bytes, tensors["layer2.0.downsample.0.weight"].bytes);
    let back = convert(&space, "small-mmaction2.pth", "pipe", &["--out", "back.safetensors"]);
    assert_eq!(back.status.code(), Some(0), "{}", String::from_utf8_lossy(&back.stderr));
    let mut found = Checkpoint::open(&space.path("back.safetensors")).unwrap().tensors;
    found.retain(|name, _| !name.ends_with("num_batches_tracked"));
    assert!(found == tensors, "values differ");
}

#[test]
fn a_file_is_never_overwritten_without_being_told() {
    let space = Space::new();
    small(&space);
    space.write("taken.pth", "mine");
    let refused = convert(&space, "small.safetensors", "torchvision", &["--out", "taken.pth"]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(std::fs::read(space.path("taken.pth")).unwrap(), b"mine");
    let forced = convert(&space, "small.safetensors", "torchvision", &["--out", "taken.pth", "--force"]);
    assert_eq!(forced.status.code(), Some(0), "{}", String::from_utf8_lossy(&forced.stderr));
    assert!(
        Checkpoint::open(&space.path("taken.pth")).unwrap().tensors.contains_key("layer1.0.bn1.num_batches_tracked")
    );
    let mut names: Vec<String> = std::fs::read_dir(space.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".pipe")
        .collect();
    names.sort();
    assert_eq!(names, ["small.safetensors", "taken.pth"]);
}

#[test]
fn what_cannot_be_converted_is_an_error() {
    let space = Space::new();
    small(&space);
    two_files(&space);
    for (name, args) in [
        ("error_model_convert_unknown", &["small.safetensors", "--to", "keras"][..]),
        ("error_model_convert_unrecognised", &["a.pth", "--to", "torchvision"]),
        ("error_model_convert_extension", &["a.pth", "--to", "pth", "--out", "b.txt"]),
        ("error_model_convert_other", &["a.pth", "--to", "torchvision", "--network", "tsn_resnet18"]),
        ("error_model_convert_project", &["a.pth", "--to", "huggingface", "--network", "tsn_resnet18"]),
    ] {
        snapshot::check_command(&space, name, &[&["model", "convert"][..], args].concat());
    }
}

#[test]
fn verify_finds_values_that_are_not_finite_and_files_of_another_network() {
    let space = Space::new();
    let mut tensors = small(&space);
    let fits = space.output(&[&["model", "verify", "small.safetensors"][..], &SMALL].concat());
    assert_eq!(fits.status.code(), Some(0), "{}", String::from_utf8_lossy(&fits.stdout));
    let other = ["model", "verify", "small.safetensors", "--network", "C3D"];
    assert_eq!(space.output(&other).status.code(), Some(1));
    tensors.insert("fc.bias".into(), Tensor::from_f32(vec![7], &[0.0, f32::NAN, 1.0, f32::INFINITY, 0.0, 0.0, 0.0]));
    write_safetensors(&space.path("bad.safetensors"), &tensors).unwrap();
    snapshot::check_command(&space, "model_verify_not_finite", &["model", "verify", "bad.safetensors"]);
    let json = space.output(&["model", "verify", "bad.safetensors", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["not_finite"][0], serde_json::json!({ "name": "fc.bias", "num_bad": 2, "num_values": 7 }));
}

/// The published file has the tensors of two networks, with and without temporal shift.
#[test]
fn a_published_file_is_recognised() {
    let Some(weights) = pipe_testkit::shared("data/weights/mobilenet_v2-b0353104.pth") else { return };
    let space = Space::new();
    let output = space.output(&["model", "verify", weights.to_str().unwrap(), "--output", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let networks: Vec<&str> =
        report["networks"].as_array().unwrap().iter().map(|network| network["network"].as_str().unwrap()).collect();
    assert_eq!(networks, ["tsn_mobilenet_v2", "tsm_mobilenet_v2"]);
    assert_eq!(report["networks"][0]["num_classes"], 1000);
}

#[test]
fn python_loads_what_is_written() {
    let space = Space::new();
    let tensors = small(&space);
    convert(&space, "small.safetensors", "torchvision", &[]);
    let script = "import sys, torch\n\
                  state = torch.load(sys.argv[1], weights_only=True)\n\
                  print(len(state), state['conv1.weight'][0, 0, 0, 1].item(), state['bn1.num_batches_tracked'].dtype)";
    let Some(printed) = pipe_testkit::python("torch", script, &space.path("small-torchvision.pth")) else { return };
    let counters = tensors.keys().filter(|name| name.ends_with("running_mean")).count();
    let value = tensors["conv1.weight"].to_f32()[1];
    assert_eq!(printed.trim(), format!("{} {value:.1} torch.int64", tensors.len() + counters));
}

#[test]
fn torchvision_loads_what_is_written() {
    let space = Space::new();
    let tensors = resnet18(&space, "whole.safetensors", 64);
    let args =
        ["model", "convert", "whole.safetensors", "--to", "torchvision", "--network", "ResNet", "--set", "depth=18"];
    assert_eq!(space.output(&args).status.code(), Some(0));
    let script = "import sys, torch, torchvision\n\
                  network = torchvision.models.resnet18(num_classes=7)\n\
                  network.load_state_dict(torch.load(sys.argv[1], weights_only=True), strict=True)\n\
                  print(network.fc.weight[6, 511].item())";
    let Some(printed) = pipe_testkit::python("torchvision", script, &space.path("whole-torchvision.pth")) else {
        return;
    };
    let last = tensors["fc.weight"].to_f32()[6 * 512 + 511];
    assert_eq!(printed.trim(), format!("{last:.1}"));
}

#[test]
fn options_that_would_have_no_effect_are_errors() {
    let space = Space::new();
    small(&space);
    for (args, expect) in [
        (&["verify", "small.safetensors", "--map", "mmaction2"][..], "`--map` needs `--network`"),
        (&["convert", "small.safetensors", "--to", "pth", "--map", "pipe"], "`--to pth` keeps the names"),
        (&["convert", "small.safetensors", "--to", "pth", "--out", "b.safetensors"], "are different formats"),
        (&["convert", "small.safetensors", "--to", "pth", "--out", "absent/b.pth"], "the folder absent does not exist"),
        (&["convert", "small.safetensors", "--to", "pth", "--out", "."], "must end with"),
        (&["summary", "small.safetensors", "--num-classes", "5"], "small.safetensors is a file"),
    ] {
        let output = space.output(&[&["model"], args].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(expect), "{args:?}: {stderr}");
    }
}

/// A tensor that can't be read is never left out without an error.
#[test]
fn tensors_of_other_kinds_are_named() {
    let space = Space::new();
    let script = "import sys, torch\n\
                  state = {'a.weight': torch.ones(2), 'b.weight': torch.eye(2).to_sparse(), 'c.weight': torch.ones(2, dtype=torch.complex64)}\n\
                  torch.save(state, sys.argv[1])";
    let Some(_) = pipe_testkit::python("torch", script, &space.path("kinds.pth")) else { return };
    let expect =
        "2 tensors can't be read, only dense ones of real numbers: `b.weight` (sparse), `c.weight` (complex64)";
    for (to, out) in [("safetensors", "out.safetensors"), ("pth", "out.pth"), ("torchvision", "out.pth")] {
        let output = space.output(&["model", "convert", "kinds.pth", "--to", to, "--out", out]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains(expect), "{to}: {stderr}");
        assert!(!space.path(out).exists(), "{to}");
    }
    let verify = space.output(&["model", "verify", "kinds.pth"]);
    let stdout = String::from_utf8_lossy(&verify.stdout);
    assert!(verify.status.code() == Some(1) && stdout.contains(expect) && !stdout.contains("not tensors"), "{stdout}");
    for args in [&["summary", "kinds.pth"][..], &["diff", "kinds.pth", "kinds.pth"]] {
        let output = space.output(&[&["model"], args].concat());
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.contains("tensors that can't be read: `b.weight` (sparse)"), "{args:?}: {stdout}");
        assert!(!stdout.contains("not tensors"), "{args:?}: {stdout}");
        assert_eq!(output.status.code(), Some(i32::from(args[0] == "diff")), "{args:?}");
    }
}
