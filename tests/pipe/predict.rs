//! Predictions: every way to get one gives the same, and broken videos cost their own row only.

use crate::serve::Server;
use crate::space::Space;
use pipe_schemas::tables::{PredictionRow, Verdict, VideoPredictionRow};
use pipe_tables::read_rows;
use pipe_testkit::shared;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A network with weights as they were drawn, evaluated on three engines, and predictions of the same videos.
pub(crate) const PIPELINE: &str = r"pipeline: p
stages:
  clips:
    uses: synthesize
    with: { classes: [move_left, move_right, move_up], groups: 3, test_groups: 1, clips_per_group: 2, frames_per_clip: 13, width_px: 100, height_px: 70 }
  videos: { uses: ingest, inputs: { folder: clips } }
  labels: { uses: annotations, inputs: { videos: videos, lists: clips.lists }, with: { format: ucf101 } }
  frames: { uses: frames, inputs: { videos: videos }, with: { FRAMES } }
  samples:
    uses: augment
    inputs: { frames: frames, labels: labels }
    with:
      epochs: 1
      train: { sampler: { type: SampleFrames, clip_len: 4 }, transforms: [{ type: Resize, scale: { exact: [40, 40] } }] }
      test:
        sampler: { type: SampleFrames, clip_len: 4, num_clips: 2 }
        transforms: [{ type: Resize, scale: { short_side_px: 40 } }, { type: ThreeCrop, crop_size: 40 }]
  model:
    uses: train
    inputs: { frames: frames, samples: samples }
    with:
      model: { backbone: { type: ResNetTSM, depth: 18, base_channels: 8, shift_div: 4 }, cls_head: { average_clips: AVERAGE } }
      train_cfg: { max_epochs: 1 }
  onnx: { uses: export, inputs: { model: model, frames: frames, samples: samples } }
  libtorch: { uses: evaluate, inputs: { model: model, frames: frames, samples: samples } }
  onnxruntime: { uses: evaluate, inputs: { exported: onnx, frames: frames, samples: samples }, with: { engine: onnxruntime } }
  openvino: { uses: evaluate, inputs: { exported: onnx, frames: frames, samples: samples }, with: { engine: openvino } }
  stage: { uses: predict, inputs: { exported: onnx, videos: videos } }
";

type Probabilities = BTreeMap<String, Vec<f32>>;

fn evaluated(space: &Space, stage: &str) -> Probabilities {
    let path = space.path(".pipe/out/p").join(stage).join("predictions.parquet");
    let rows: Vec<PredictionRow> = read_rows(&path).unwrap();
    rows.into_iter().map(|row| (row.video_id, row.probabilities)).collect()
}

fn predicted(path: &Path, id: impl Fn(&str) -> String) -> Probabilities {
    let rows: Vec<VideoPredictionRow> = read_rows(path).unwrap();
    assert!(rows.iter().all(|row| row.verdict == Verdict::Ok), "{rows:?}");
    rows.into_iter().map(|row| (id(&row.video_id), row.probabilities)).collect()
}

/// Checks that every video of `reference` has the same class, and probabilities within 1e-4.
#[track_caller]
fn check_equal(reference: &Probabilities, found: &Probabilities, what: &str) {
    let top = |values: &[f32]| (0..values.len()).reduce(|best, at| if values[at] > values[best] { at } else { best });
    assert!(!reference.is_empty());
    for (video, expect) in reference {
        let found = found.get(video).unwrap_or_else(|| panic!("{what}: {video} of {:?}", found.keys()));
        let differs = expect.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(differs <= 1e-4 && expect.len() == found.len(), "{what}: {video} {expect:?} {found:?}");
        assert_eq!(top(expect), top(found), "{what}: {video}");
    }
}

pub(crate) fn has_engines() -> bool {
    pipe_testkit::onnx_runtime().is_some() && pipe_testkit::openvino().is_some()
}

#[test]
fn every_way_to_predict_gives_the_same() {
    if !has_engines() {
        return;
    }
    let cases = [
        ("sample: all, resize: { short_side_px: 60 }, encode: { jpeg: { quality: 75 } }, buckets: 2", "prob"),
        ("sample: { fps: 9.5 }, resize: none, encode: png, buckets: 2", "score"),
    ];
    for (frames, average) in cases {
        let space = Space::new();
        space.write("p.yaml", &PIPELINE.replace("FRAMES", frames).replace("AVERAGE", average));
        check_every_way(&space, &space.path(".pipe/out/p/clips/videos"), 3);
    }
}

/// The same with real videos: those of UCF101's test list that are beside a developer's checkout.
#[test]
fn every_way_to_predict_gives_the_same_on_real_videos() {
    let (Some(clips), Some(lists)) = (shared("data/clips/ucf101"), shared("data/annotations/ucf101")) else { return };
    if !has_engines() {
        return;
    }
    let space = Space::new();
    std::os::unix::fs::symlink(clips, space.path("videos")).unwrap();
    std::os::unix::fs::symlink(lists, space.path("lists")).unwrap();
    let generated = PIPELINE.find("  clips:").unwrap()..PIPELINE.find("  frames:").unwrap();
    let mut pipeline = PIPELINE.to_owned();
    let real = "  videos: { uses: ingest, with: { root: videos } }\n  labels: { uses: annotations, inputs: { videos: videos }, \
                with: { format: ucf101, root: lists, missing: warn } }\n";
    pipeline.replace_range(generated, real);
    let frames = "sample: all, resize: { short_side_px: 128 }, buckets: 2";
    space.write("p.yaml", &pipeline.replace("FRAMES", frames).replace("AVERAGE", "prob"));
    let num_videos = check_every_way(&space, &space.path("videos"), 101);
    assert_eq!(num_videos, 22);
}

/// Runs the pipeline, and compares the predictions of its stages, of `pipe predict` and of `pipe serve`. Returns the number of videos.
fn check_every_way(space: &Space, videos: &Path, num_classes: usize) -> usize {
    space.run("p.yaml", &[]).ok();
    let reference = evaluated(space, "libtorch");
    for stage in ["onnxruntime", "openvino"] {
        check_equal(&reference, &evaluated(space, stage), stage);
    }
    let table = space.path(".pipe/out/p/stage/video_predictions.parquet");
    check_equal(&reference, &predicted(&table, str::to_owned), "uses: predict");
    let id = |path: &Path| path.strip_prefix(videos).unwrap().with_extension("").to_str().unwrap().to_owned();
    let files: Vec<_> = files(videos).into_iter().filter(|path| reference.contains_key(&id(path))).collect();
    for engine in ["onnxruntime", "openvino"] {
        let table = space.path("out.parquet");
        let mut args = vec!["predict", ".pipe/out/p/onnx/model.onnx", "--engine", engine, "--to", "out.parquet"];
        args.extend(files.iter().map(|path| path.to_str().unwrap()));
        let output = space.output(&args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found = predicted(&table, |path| id(Path::new(path)));
        check_equal(&reference, &found, &format!("pipe predict --engine {engine}"));
    }
    check_bfloat16(space, &files, &reference, id);
    let server = Server::start(space, &[]);
    let served = files.iter().map(|path| (id(path), served(&server, path, num_classes))).collect();
    check_equal(&reference, &served, "pipe serve");
    reference.len()
}

/// Predicts with `--precision bfloat16`, which OpenVINO refuses on processors without it, and ONNX Runtime on all.
fn check_bfloat16(space: &Space, files: &[PathBuf], reference: &Probabilities, id: impl Fn(&Path) -> String) {
    for engine in ["onnxruntime", "openvino"] {
        let mut args = vec!["predict", ".pipe/out/p/onnx/model.onnx", "--engine", engine, "--precision", "bfloat16"];
        args.extend(["--to", "bfloat16.parquet"]);
        args.extend(files.iter().map(|path| path.to_str().unwrap()));
        let output = space.output(&args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let (code, text) = match engine {
                "onnxruntime" => (2, "`--precision bfloat16` needs `--engine openvino`"),
                _ => (1, "does not compute in bfloat16 on this processor"),
            };
            assert!(output.status.code() == Some(code) && stderr.contains(text), "{stderr}");
            assert!(!space.path("bfloat16.parquet").exists());
            continue;
        }
        assert_eq!(engine, "openvino");
        assert!(stderr.contains("in bfloat16"), "{stderr}");
        let found = predicted(&space.path("bfloat16.parquet"), |path| id(Path::new(path)));
        let stage = "  bfloat16: { uses: evaluate, inputs: { exported: onnx, frames: frames, samples: samples }, \
                     with: { engine: openvino, precision: bfloat16 } }\n";
        space.write("p.yaml", &(std::fs::read_to_string(space.path("p.yaml")).unwrap() + stage));
        space.run("p.yaml", &[]).ok();
        for (what, found) in [("pipe predict", found), ("evaluate", evaluated(space, "bfloat16"))] {
            for (video, expect) in reference {
                let differs = expect.iter().zip(&found[video]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(differs <= 0.05, "{what} in bfloat16: {video} {expect:?} {:?}", found[video]);
            }
        }
    }
}

/// Uploads a video to `pipe serve`, and returns the probabilities of all classes.
fn served(server: &Server, path: &Path, num_classes: usize) -> Vec<f32> {
    let (status, answer) = server.predict(&format!("?top_k={num_classes}"), &std::fs::read(path).unwrap());
    assert_eq!(status, 200, "{answer}");
    let mut probabilities = vec![0.0; num_classes];
    for class in answer["top"].as_array().unwrap() {
        probabilities[class["class_index"].as_u64().unwrap() as usize] = class["probability"].as_f64().unwrap() as f32;
    }
    probabilities
}

/// Returns the lines of JSON on stdout.
fn lines(stdout: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn broken_videos_are_rows_and_windows_have_events() {
    if !has_engines() {
        return;
    }
    let space = Space::new();
    let frames = "sample: all, resize: none, buckets: 2";
    space.write("p.yaml", &PIPELINE.replace("FRAMES", frames).replace("AVERAGE", "prob"));
    space.run("p.yaml", &[]).ok();
    let videos = space.path(".pipe/out/p/clips/videos");
    let first = files(&videos).remove(0);
    std::fs::create_dir(space.path("in")).unwrap();
    let bytes = std::fs::read(&first).unwrap();
    std::fs::write(space.path("in/a.avi"), &bytes).unwrap();
    std::fs::write(space.path("in/b.avi"), &bytes[..bytes.len() * 8 / 10]).unwrap();
    std::fs::write(space.path("in/c.avi"), "no video").unwrap();
    let model = ".pipe/out/p/onnx/model.onnx";

    let output = space.output(&["predict", model, "in", "in/missing.avi", "--output", "json", "--top-k", "2"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = lines(&output.stdout);
    let found: Vec<_> =
        rows.iter().map(|row| (row["video"].as_str().unwrap(), row["verdict"].as_str().unwrap())).collect();
    let expect =
        [("in/a.avi", "ok"), ("in/b.avi", "truncated"), ("in/c.avi", "unreadable"), ("in/missing.avi", "unreadable")];
    assert_eq!(found, expect);
    assert_eq!(rows[0]["top"].as_array().unwrap().len(), 2);
    assert!(rows[1..].iter().all(|row| row["top"].as_array().unwrap().is_empty() && row["reason"] != ""), "{rows:?}");

    let none = space.output(&["predict", model, "in/c.avi", "--to", "rows.csv"]);
    assert_eq!(none.status.code(), Some(1), "no video could be predicted");
    let csv = std::fs::read_to_string(space.path("rows.csv")).unwrap();
    assert!(csv.starts_with("video,start_secs,end_secs,verdict,reason,num_views,class_1,probability_1,"), "{csv}");
    assert!(csv.lines().nth(1).unwrap().starts_with("in/c.avi,,,unreadable,"), "{csv}");

    let rule = "MoveUp>=0,min=0.1";
    let args =
        ["predict", model, "in/a.avi", "--window", "0.2", "--stride", "0.1", "--alert", rule, "--output", "json"];
    let output = space.output(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (events, windows): (Vec<_>, Vec<_>) =
        lines(&output.stdout).into_iter().partition(|line| line.get("event").is_some());
    assert!(windows.len() > 3 && windows[1]["start_secs"] == 0.1, "{windows:?}");
    assert_eq!(events.len(), 1, "a probability of at least 0 lasts the whole video");
    assert_eq!((&events[0]["event"], &events[0]["start_secs"]), (&Value::from("MoveUp"), &Value::from(0.0)));
    assert_eq!(events[0]["num_windows"].as_u64(), Some(windows.len() as u64));

    // No file is lost before the arguments are known to be right.
    space.write("keep.csv", "old");
    std::fs::create_dir(space.path("dir.parquet")).unwrap();
    for (args, code, expect) in [
        (&["in/a.avi", "--window", "0.2", "--alert", "fly>=0.5"][..], 2, "the network has no class `fly`"),
        (&["in/a.avi", "--window", "0.2", "--alert", "fly"], 2, "the alert rule `fly`: expected CLASS>=THRESHOLD"),
        (&["in/a.avi", "--window", "1", "--alert", "MoveUp>=1", "--alert", "MoveUp>=1"], 2, "is given twice"),
        (&["in/a.avi", "--window=-1"], 2, "the length of a window is -1.0 s"),
        (&["in/a.avi", "--window=1", "--stride=0"], 2, "the stride is 0.0 s"),
        (&["in/a.avi", "--window=nan"], 2, "expected a number of seconds"),
        (&["in/a.avi", "--threads", "65535"], 2, "65535 is not in 1..=1024"),
        (&["in/a.avi", "--to", "rows.xlsx"], 2, "the format of rows.xlsx is unknown"),
        (&["in/a.avi", "--to", "none/x.parquet"], 2, "none/x.parquet can't be written: "),
        (&["in/a.avi", "--to", "dir.parquet"], 2, "dir.parquet can't be written: it is not a file"),
        (&["in/a.avi", "--to", "none/x.csv"], 2, "none/x.csv"),
        (&["in/a.avi", "keep.csv", "--to", "./keep.csv"], 2, "`--to` would replace ./keep.csv, which is read"),
        (&["in/a.avi", "--annotate", "p.yaml"], 2, "`--annotate` needs a folder, but p.yaml is a file"),
        (&["in/*.mkv"], 2, "no file matches `in/*.mkv`"),
        (&["in/a.avi", "--provider", "cuda"], 1, "has no execution provider `cuda`"),
    ] {
        let keep = if args.contains(&"--to") { &[][..] } else { &["--to", "keep.csv"] };
        let output = space.output(&[&["predict", model], args, keep].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(code) && stderr.contains(expect),
            "{args:?}: {:?} {stderr}",
            output.status
        );
        assert!(!String::from_utf8_lossy(&output.stdout).contains("a.avi"), "{args:?}: nothing was predicted");
    }
    assert_eq!(std::fs::read_to_string(space.path("keep.csv")).unwrap(), "old");
    let many = ["predict", model, "in/a.avi", "--top-k", "4294967295", "--to", "keep.csv"];
    assert!(space.output(&many).status.success());
    let csv = std::fs::read_to_string(space.path("keep.csv")).unwrap();
    assert!(csv.lines().next().unwrap().ends_with(",class_3,probability_3"), "a column for each class: {csv}");
    for hostile in ["p.yaml", "in/a.avi", "in", "missing.onnx"] {
        let output = space.output(&["predict", hostile, "in/a.avi"]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(1) && stderr.starts_with("error: ") && stderr.contains(hostile),
            "{stderr}"
        );
    }
}

/// Returns the files below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
