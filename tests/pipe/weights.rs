//! `pipe model`: what it shows of networks and files of weights, and how it ends on files that are neither.

use crate::snapshot;
use crate::space::Space;
use pipe_weights::{Dtype, Tensor, write_safetensors, write_torch};
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
