//! Fine-tuning from a checkpoint with the names of another project: what is taken, and what is refused.

use crate::space::{Space, tiny};
use pipe_testkit::repository;
use serde_json::{Value, json};
use std::path::Path;

/// Names and shapes of MMAction2's TSM with a ResNet-18 of 16 channels and 400 classes.
fn tensors_of_mmaction2() -> Vec<(String, Vec<usize>)> {
    let mut tensors = Vec::new();
    let mut conv_bn = |name: &str, wrapped: bool, shape: [usize; 4]| {
        let conv = if wrapped { "conv.net" } else { "conv" };
        tensors.push((format!("backbone.{name}.{conv}.weight"), shape.to_vec()));
        for slot in ["weight", "bias", "running_mean", "running_var"] {
            tensors.push((format!("backbone.{name}.bn.{slot}"), vec![shape[0]]));
        }
    };
    conv_bn("conv1", false, [16, 3, 7, 7]);
    let mut inputs = 16;
    for layer in 1..=4 {
        let planes = 16 << (layer - 1);
        for block in 0..2 {
            let name = format!("layer{layer}.{block}");
            conv_bn(&format!("{name}.conv1"), true, [planes, inputs, 3, 3]);
            conv_bn(&format!("{name}.conv2"), false, [planes, planes, 3, 3]);
            if layer > 1 && block == 0 {
                conv_bn(&format!("{name}.downsample"), false, [planes, inputs, 1, 1]);
            }
            inputs = planes;
        }
    }
    tensors.push(("cls_head.fc_cls.weight".to_owned(), vec![400, inputs]));
    tensors.push(("cls_head.fc_cls.bias".to_owned(), vec![400]));
    tensors
}

/// Writes a safetensors file. Scales are 1, and other values are small.
fn write_safetensors(path: &Path, tensors: &[(String, Vec<usize>)]) {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in tensors {
        let start = data.len();
        let is_scale = shape.len() == 1 && (name.ends_with("weight") || name.ends_with("var"));
        for index in 0..shape.iter().product::<usize>() {
            let value = if is_scale { 1.0 } else { ((index * 7 + name.len()) % 13) as f32 * 0.01 - 0.06 };
            data.extend(value.to_le_bytes());
        }
        header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
    }
    let header = Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(path, [&length[..], header.as_bytes(), &data].concat()).unwrap();
}

/// Writes the checkpoint, and a pipeline that starts from it.
fn pipeline(space: &Space) {
    write_safetensors(&space.path("theirs.safetensors"), &tensors_of_mmaction2());
    let smoke = repository().join("pipelines/smoke.yaml");
    let text = format!(
        "pipeline: tune\nextends: [{}]\nvars: {{ epochs: 1 }}\nstages:\n  model: {{ with: {{ load_from: {{ checkpoint: \
         theirs.safetensors }} }} }}\n  eval: null\n  onnx: null\n  int8: null\n  table: null\n",
        smoke.display()
    );
    space.write("tune.yaml", &text);
}

fn settings<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let tiny = tiny(&[]).into_iter().filter(|setting| *setting != "vars.epochs=2");
    tiny.chain(more.iter().copied()).collect()
}

#[test]
fn weights_with_the_names_of_another_project_are_fine_tuned() {
    let space = Space::new();
    pipeline(&space);
    let run = space.run("tune.yaml", &settings(&[])).ok();
    let summary = run.stage("model")["summary"].clone();
    let expect = [
        "100 tensors matched, 2 reinitialised (fc.weight, fc.bias), 0 unused",
        "100.0 % of the network's values are from the checkpoint",
        "the tensors have the names of mmaction2",
    ];
    assert_eq!(summary.as_array().unwrap()[1..], expect.map(|line| json!(line)));
    let report = space.json("tune", "model", "model/weights.json");
    assert_eq!(
        [&report["map"], &report["num_matched"], &report["num_values_reinitialised"], &report["made"]],
        [&json!("mmaction2"), &json!(100), &json!(2 * 128 + 2), &json!([])]
    );
    assert_eq!(report["reinitialised"], json!(["fc.weight", "fc.bias"]));

    // The right digest changes nothing; how the file is read does.
    let digest = blake3::hash(&std::fs::read(space.path("theirs.safetensors")).unwrap()).to_hex();
    let digest = format!("stages.model.with.load_from.digest=blake3:{digest}");
    let again = space.run("tune.yaml", &settings(&[&digest])).ok();
    assert_eq!(again.stage("model")["parts"], json!({ "hits": 1, "ran": 0 }));
    assert_eq!(again.stage("model")["output"], run.stage("model")["output"]);
    let set = space.run("tune.yaml", &settings(&["stages.model.with.load_from.map=mmaction2"])).ok();
    assert_eq!(set.stage("model")["parts"], json!({ "hits": 0, "ran": 1 }));
    assert_eq!(set.stage("model")["output"], run.stage("model")["output"]);
}

#[test]
fn a_wrong_map_or_digest_is_refused() {
    let space = Space::new();
    pipeline(&space);
    let check = |setting: &str, error: &[&str], help: &str| {
        let setting = format!("stages.model.with.load_from.{setting}");
        let run = space.run("tune.yaml", &settings(&[&setting]));
        assert_eq!((run.code, run.stages("failed")), (Some(1), vec!["model".to_owned()]), "{setting}");
        let failure = run.stage("model")["failure"].clone();
        let found = failure["error"].to_string();
        assert!(error.iter().all(|part| found.contains(part)), "{setting}: {found}");
        assert!(failure["help"].to_string().contains(help), "{setting}: {failure}");
    };
    check(
        "map=torchvision",
        &["theirs.safetensors: the weights do not fit the network: 0 tensors match", "names of torchvision"],
        "check that `model.backbone` is the network of these weights",
    );
    check(
        "map=huggingface",
        &["there are no names of huggingface for this network, only of torchvision or mmaction2"],
        "set `load_from.map` to torchvision or mmaction2, or leave it out",
    );
    check("inflate=true", &["tsm_resnet18 is not inflated from a 2-D network"], "leave out `load_from.inflate`");
    let digest = "ab".repeat(32);
    check(&format!("digest={digest}"), &[&format!("is not {digest}, but sha256:")], "correct `load_from.digest`");

    // What can be seen without the file is a mistake of the pipeline.
    let run = space.run("tune.yaml", &settings(&["stages.model.with.load_from.digest=abc"]));
    assert_eq!(run.code, Some(2));
    let message = "must have 64 hexadecimal digits";
    let is_mistake = |event: &Value| event["event"] == "mistake" && event["message"].to_string().contains(message);
    assert!(run.events.iter().any(is_mistake), "{run:?}");
}
