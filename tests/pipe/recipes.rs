//! The recipes of `pipelines/base/models`: each is a pipeline without mistakes, and trains on generated clips.

#![expect(clippy::print_stdout, reason = "who waits for an hour wants to know what for")]

use crate::space::Space;
use pipe_models::zoo;

/// Returns the names of all recipes, such as `builtin/models/tsn_r50`.
fn recipes(space: &Space) -> Vec<String> {
    let list = String::from_utf8(space.output(&["bases", "--output", "json"]).stdout).unwrap();
    let name =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["name"].as_str().map(str::to_owned);
    let names: Vec<String> = list.lines().filter_map(name).filter(|name| name.starts_with("builtin/models/")).collect();
    assert!(names.len() > 15, "{names:?}");
    names
}

/// Each recipe, on a folder of videos, is a pipeline without mistakes.
#[test]
fn every_recipe_of_a_network_is_checked() {
    let space = Space::new();
    for file in ["a/a.mp4", "b/b.mp4"] {
        space.write(&format!("videos/{file}"), "");
    }
    space.write("weights.pth", "");
    for name in recipes(&space) {
        // The weights are a parameter of one recipe, which others do not have.
        let weights = if name.ends_with("tsn_mobilenet_v2") { ", weights: weights.pth" } else { "" };
        space.write(
            "p.yaml",
            &format!(
                "pipeline: p\nextends: [builtin/datasets/class_folder, {name}]\nvars: {{ data: videos{weights} }}\n"
            ),
        );
        let plan = space.output(&["plan", "p.yaml"]);
        let (stdout, stderr) = (String::from_utf8_lossy(&plan.stdout), String::from_utf8_lossy(&plan.stderr));
        assert_eq!(plan.status.code(), Some(0), "{name}: {stderr}");
        assert!(stdout.contains("onnx"), "{name}: {stdout}");
    }
}

/// Each recipe trains an epoch and is evaluated, with a small network of its family, on small clips, and otherwise as it is.
#[test]
fn every_recipe_trains_a_small_network() {
    let space = Space::new();
    for name in recipes(&space) {
        let recipe = String::from_utf8(space.output(&["bases", &name]).stdout).unwrap();
        space.write("p.yaml", &small(&name, &recipe));
        // Recipes of one family that differ in sizes only are the same training here.
        space.run("p.yaml", &[]).ok();
        let metrics = space.json("recipe", "eval", "metrics.json");
        assert_eq!(metrics["num_videos"], 6, "{name}: {metrics}");
    }
}

/// Returns a pipeline that trains a small network with a recipe.
fn small(name: &str, recipe: &str) -> String {
    let (_, backbone) = recipe.split_once("backbone:").expect("a backbone");
    let (_, type_name) = backbone.split_once("type:").expect("a type");
    let type_name: String = type_name.trim_start().chars().take_while(char::is_ascii_alphanumeric).collect();
    let entry = zoo().into_iter().find(|entry| entry.type_name == type_name).expect("a family of the zoo");
    let small = entry.small.into_iter().next().expect("a small network");
    let backbone = serde_json::to_string(&small.backbone).unwrap();
    let (frames, width, height) = (small.clip.frames, small.clip.width, small.clip.height);
    let sampler = format!("{{ type: SampleFrames, clip_len: {frames}, frame_interval: 1, num_clips: 1 }}");
    let clips =
        format!("{{ sampler: {sampler}, transforms: [{{ type: Resize, scale: {{ exact: [{width}, {height}] }} }}] }}");
    let load_from = without_weights(recipe);
    let classes = "classes: [move_left, move_right, rotate_clockwise], groups: 3, test_groups: 1, clips_per_group: 2";
    data(name, &format!("{classes}, frames_per_clip: 40, width_px: 64, height_px: 48"))
        + &format!(
            "  samples: {{ with: {{ epochs: 1, train: !replace {clips}, test: !replace {clips} }} }}
  model:
    with:
      model: {{ backbone: !replace {backbone} }}
      train_dataloader: {{ batch_size: 4 }}
      train_cfg: {{ max_epochs: 1 }}
{load_from}
  onnx: null
"
        )
}

/// The clips of each recipe, for training and for the test, are those of its network, and fit videos of 320x240 px.
#[test]
fn every_recipe_draws_clips_of_its_published_size() {
    let space = Space::new();
    for name in recipes(&space) {
        let recipe = String::from_utf8(space.output(&["bases", &name]).stdout).unwrap();
        space.write("p.yaml", &published(&name, &recipe));
        let run = space.output(&["run", "p.yaml", "--until", "samples"]);
        assert_eq!(run.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

/// Each recipe trains two steps as it is, in batches of two clips, and its last validation has all views of its test.
#[test]
#[ignore = "networks of published sizes take most of an hour"]
fn every_recipe_trains_two_steps_at_its_published_size() {
    let space = Space::new();
    for name in recipes(&space) {
        let recipe = String::from_utf8(space.output(&["bases", &name]).stdout).unwrap();
        space.write("p.yaml", &published(&name, &recipe));
        let since = std::time::Instant::now();
        let run = space.run("p.yaml", &[]).ok();
        let figures = &run.stage("model")["figures"];
        let loss = figures["loss"].as_f64().unwrap_or_else(|| panic!("{name}: {figures}"));
        assert!(loss.is_finite() && loss > 0.0, "{name}: {figures}");
        println!("{name}: loss {loss:.3}, {:.0} s", since.elapsed().as_secs_f64());
    }
}

/// Returns a pipeline that trains the network of a recipe for two steps.
fn published(name: &str, recipe: &str) -> String {
    let load_from = without_weights(recipe);
    let classes = "classes: [move_left, move_right], groups: 3, test_groups: 1, clips_per_group: 1";
    data(name, &format!("{classes}, frames_per_clip: 80, width_px: 320, height_px: 240"))
        + &format!(
            "  samples: {{ with: {{ epochs: 1 }} }}
  model:
    with:
      train_dataloader: {{ batch_size: 2 }}
      train_cfg: {{ max_epochs: 1 }}
{load_from}
  eval: null
  onnx: null
"
        )
}

/// Returns the line that removes the weights that a recipe starts from, if it does.
fn without_weights(recipe: &str) -> &'static str {
    if recipe.contains("load_from") { "      load_from: null\n" } else { "" }
}

/// Returns the beginning of a pipeline: generated clips for a recipe.
fn data(name: &str, clips: &str) -> String {
    format!(
        "pipeline: recipe
extends: [{name}]
stages:
  clips: {{ uses: synthesize, with: {{ {clips} }} }}
  videos: {{ uses: ingest, inputs: {{ folder: clips }} }}
  labels:
    uses: annotations
    inputs: {{ videos: videos, lists: clips.lists }}
    with: {{ format: ucf101, split: 1 }}
  frames:
    uses: frames
    inputs: {{ videos: videos }}
    with: {{ sample: all, resize: none, encode: {{ jpeg: {{ quality: 90 }} }}, buckets: 1 }}
"
    )
}
