//! `pretrained`: a checkpoint without training gives the numbers of the network that it was saved from.

use crate::space::{RunOutput, Space, tiny};
use pipe_testkit::repository;

/// Trains the tiny smoke pipeline, and writes a pipeline that evaluates the checkpoint without training.
fn trained() -> Space {
    let space = Space::new();
    space.run_tiny(&[]).ok();
    std::fs::copy(space.path(".pipe/out/smoke/model/model/checkpoint.safetensors"), space.path("tiny.safetensors"))
        .unwrap();
    let smoke = repository().join("pipelines/smoke.yaml");
    let text = format!(
        "pipeline: published\nextends: [{}]\nstages:\n  model: !replace\n    uses: pretrained\n    \
         inputs: {{ samples: samples, classes: labels.classes }}\n    with:\n      \
         load_from: {{ checkpoint: tiny.safetensors }}\n      \
         model: {{ backbone: {{ type: ResNetTSM, depth: 18, base_channels: 16, shift_div: 4 }} }}\n",
        smoke.display()
    );
    space.write("published.yaml", &text);
    space
}

fn run(space: &Space, settings: &[&str]) -> RunOutput {
    let settings: Vec<&str> =
        tiny(settings).into_iter().filter(|setting| !setting.contains("train_dataloader")).collect();
    space.run("published.yaml", &settings)
}

#[track_caller]
fn check_failure(space: &Space, settings: &[&str], expect: &[&str]) {
    let failed = run(space, settings);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let failure = failed.stage("model")["failure"].to_string();
    for text in expect {
        assert!(failure.contains(text), "{text}: {failure}");
    }
}

#[test]
fn a_checkpoint_is_evaluated_and_exported_without_training() {
    let space = trained();
    let published = run(&space, &[]).ok();
    // The stages before are those of the training.
    assert_eq!(published.stages("ran"), ["eval", "int8", "model", "onnx", "table"]);
    let metrics = |pipeline| space.json(pipeline, "eval", "metrics.json");
    assert_eq!(metrics("published"), metrics("smoke"));
    let card = space.json("published", "model", "model/model.json");
    assert_eq!((card["epochs"].as_u64(), &card["classes"]), (Some(0), &serde_json::json!(["MoveLeft", "MoveRight"])));
    let summary = published.stage("model")["summary"].to_string();
    assert!(summary.contains("tsm_resnet18") && summary.contains("2 classes of the input `classes`"), "{summary}");
    assert_eq!(run(&space, &[]).ok().stages("ran"), [""; 0]);
}

#[test]
fn a_label_map_names_the_classes_in_the_order_of_the_checkpoint() {
    let space = trained();
    let no_port = "stages.model.inputs.classes=null";
    check_failure(&space, &[no_port], &["nothing names the classes of", "tiny.safetensors", "set `label_map`"]);
    space.write("names.txt", "MoveLeft\nMoveRight\n");
    let map = "stages.model.with.label_map=names.txt";
    let both = run(&space, &[map]);
    assert_eq!(both.code, Some(2));
    assert!(format!("{:?}", both.events).contains("has both `label_map` and the input `classes`"), "{both:?}");
    run(&space, &[no_port, map]).ok();
    space.write("names.txt", "MoveLeft\nMoveRight\nMoveUp\n");
    let wrong = "tiny.safetensors has 2 classes, but `label_map` names 3";
    check_failure(&space, &[no_port, map], &["the classifier of", wrong]);

    space.write("names.txt", "MoveRight\nMoveLeft\n");
    let swapped = run(&space, &[no_port, map]);
    let failure = swapped.stage("eval")["failure"].to_string();
    let expect = "the samples do not have the classes of the model: class 0 is `MoveLeft` in the samples, `MoveRight` in the model";
    assert!(failure.contains(expect), "{failure}");
}

#[test]
fn a_folder_of_hugging_face_names_its_classes_itself() {
    let space = trained();
    space.write("hf/config.json", r#"{"model_type": "x", "id2label": {"1": "MoveRight", "0": "MoveLeft"}}"#);
    std::fs::rename(space.path("tiny.safetensors"), space.path("hf/model.safetensors")).unwrap();
    let folder = "stages.model.with.load_from.checkpoint=hf";
    let own = run(&space, &[folder, "stages.model.inputs.classes=null"]).ok();
    assert!(own.stage("model")["summary"].to_string().contains("2 classes of its config.json"));
    space.write("hf/config.json", r#"{"id2label": {"0": "left", "1": "MoveRight"}}"#);
    let renamed = run(&space, &[folder]).ok();
    let warnings = renamed.stage("model")["warnings"].to_string();
    assert!(warnings.contains("class 0 is `MoveLeft`, there `left`"), "{warnings}");
}

#[test]
fn a_checkpoint_of_another_network_or_without_a_classifier_is_refused() {
    let space = trained();
    let wide = "stages.model.with.model.backbone.base_channels=8";
    check_failure(&space, &[wide], &["can't use", "conv1.weight", "`model.backbone`"]);
    space.write("empty.safetensors", "");
    let empty = "stages.model.with.load_from.checkpoint=empty.safetensors";
    check_failure(&space, &[empty], &["empty.safetensors is not a checkpoint: it is empty"]);
}
