//! The files of `export` beside the ONNX file: weights, model card and the folder for transformers.

use crate::space::Space;
use pipe_testkit::python;
use std::fs;

#[test]
fn the_model_card_says_what_is_known_and_what_is_not() {
    let space = Space::new();
    space.run_tiny(&[]).ok();
    let read = |file: &str| fs::read_to_string(space.path(".pipe/out/smoke/onnx").join(file)).unwrap();
    let card = read("README.md");
    for text in [
        "# tsm_resnet18\n",
        "| `model.onnx` | opset 17;",
        "0. MoveLeft\n1. MoveRight\n",
        "| BLAKE3 of samples | `",
        "Not known: no `metrics` are connected",
        "transformers does not have this network family.",
        "It was trained for 2 epochs.",
        "## Environment\n\nlibtorch ",
    ] {
        assert!(card.contains(text), "`{text}` is missing:\n{card}");
    }
    assert!(!space.path(".pipe/out/smoke/onnx/huggingface").exists());
    let parity = space.json("smoke", "onnx", "parity.json");
    assert_eq!((&parity["opset"], &parity["dynamic_axes"]), (&17.into(), &serde_json::json!(["N"])), "{parity}");
    assert!(parity["max_rel_diff"].as_f64().unwrap() < 1e-4, "{parity}");
    let weights = pipe_weights::Checkpoint::open(&space.path(".pipe/out/smoke/onnx/model.safetensors")).unwrap();
    let trained =
        pipe_weights::Checkpoint::open(&space.path(".pipe/out/smoke/model/model/checkpoint.safetensors")).unwrap();
    assert_eq!(weights.tensors, trained.tensors);

    space.run_tiny(&["stages.onnx.inputs.metrics=eval"]).ok();
    let card = read("README.md");
    assert!(card.contains("Figures are over ") && card.contains("| top1 | "), "{card}");
}

/// Networks that transformers has, with the classes that open them.
const FAMILIES: [(&str, &str); 4] = [
    (
        "{ type: VisionTransformer, img_size: 48, embed_dims: 24, depth: 2, num_heads: 2, num_frames: 8, fc_norm_eps: 1.0e-5 }",
        "VideoMAEForVideoClassification VideoMAEImageProcessor",
    ),
    (
        "{ type: TimeSformer, img_size: 48, embed_dims: 24, num_transformer_layers: 2, num_heads: 2, num_frames: 4 }",
        "TimesformerForVideoClassification VideoMAEImageProcessor",
    ),
    (
        "{ type: ViViT, image_size: 48, hidden_size: 24, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 40, num_frames: 4 }",
        "VivitForVideoClassification VivitImageProcessor",
    ),
    (
        "{ type: VJEPA2, crop_size: 48, hidden_size: 32, num_attention_heads: 2, num_hidden_layers: 2, num_pooler_layers: 1, frames_per_clip: 4 }",
        "VJEPA2ForVideoClassification VJEPA2VideoProcessor",
    ),
];

#[test]
fn transformers_opens_the_folder_of_each_family_with_equal_logits() {
    let space = Space::new();
    let square = "!replace [{ type: Resize, scale: { exact: [48, 48] } }]";
    for (backbone, classes) in FAMILIES {
        let model = format!("stages.model.with.model=!replace {{ backbone: {backbone} }}");
        let [train, test] = ["train", "test"].map(|list| format!("stages.samples.with.{list}.transforms={square}"));
        space.run_tiny(&[&model, &train, &test]).ok();
        let config = space.json("smoke", "onnx", "huggingface/config.json");
        assert_eq!(config["architectures"][0].as_str(), classes.split(' ').next());
        assert_eq!(config["id2label"], serde_json::json!({ "0": "MoveLeft", "1": "MoveRight" }));
        let script = include_str!("exported/open_folder.py");
        if let Some(found) = python("transformers, onnx.reference", script, &space.path(".pipe/out/smoke/onnx")) {
            assert_eq!(found.trim(), format!("{classes} equal"));
        }
    }
}
