//! The first minutes: `pipe init`, built-in files, files as editors write them.

use crate::space::Space;
use std::process::Output;

fn text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn init_writes_a_file_once() {
    let space = Space::new();
    for path in ["my videos/jump/a.mp4", "my videos/run/b.mp4", "my videos/run/c.mp4"] {
        space.write(path, "");
    }
    let first = space.output(&["init", "my videos"]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    assert!(text(&first).contains("found   3 videos\nfound   one folder per class"), "{}", text(&first));
    let written = std::fs::read_to_string(space.path("my_videos.yaml")).unwrap();
    let plan = space.output(&["plan", "my_videos.yaml"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    let again = space.output(&["init", "my videos"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again).contains("my_videos.yaml exists and is not overwritten"), "{}", text(&again));
    assert_eq!(std::fs::read_to_string(space.path("my_videos.yaml")).unwrap(), written);
    let other = space.output(&["init", "my videos", "--file", "other.yaml"]);
    assert_eq!(other.status.code(), Some(0), "{}", text(&other));

    space.write("flat/a.mp4", "");
    let unclear = space.output(&["init", "flat"]);
    assert_eq!(unclear.status.code(), Some(2));
    assert!(text(&unclear).contains("it is not clear how the videos in flat are labelled: 1 video in one folder"));
    assert!(!space.path("flat.yaml").exists());
}

#[test]
fn built_in_files_are_listed_printed_and_extended() {
    let space = Space::new();
    let list = text(&space.output(&["bases"]));
    assert!(list.lines().any(|line| line.starts_with("builtin/models/tsn_r50 ")), "{list}");
    let printed = text(&space.output(&["bases", "builtin/models/tsn_r50"]));
    assert!(printed.contains("backbone: { type: ResNet, depth: 50 }"), "{printed}");
    let unknown = space.output(&["bases", "tsn_r51"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown).contains("did you mean `models/tsn_r50`?"), "{}", text(&unknown));
    space.write("videos/a/a.mp4", "");
    space.write(
        "p.yaml",
        "pipeline: p\nextends: [builtin/datasets/class_folder, builtin/models/tsn_r50]\nvars: { data: videos }\n\
         stages: { samples: { with: { epochs: 1 } }, model: { with: { train_cfg: { max_epochs: 1 }, optim_wrapper: { optimizer: { type: SGD, lr: 0.1 } } } } }\n",
    );
    let plan = space.output(&["plan", "p.yaml"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    let schema = space.output(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert_eq!(schema["title"], "pipe pipeline");
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let stage = "a: { uses: command, with: { run: [cp, p.yaml, \"${outputs.o}\"], outputs: { o: o } } }";
    let space = Space::new();
    space.write("base.yaml", &format!("\u{feff}stages:\n  {stage}\n"));
    space.write("p.yaml", "\u{feff}pipeline: p\nextends: [base.yaml]\n");
    space.write(".pipe/config.yaml", "\u{feff}remote: none\n");
    space.run("p.yaml", &[]).ok();
    let lock = std::fs::read_to_string(space.path("p.lock")).unwrap();
    space.write("p.lock", &format!("\u{feff}{lock}"));
    let locked = space.output(&["run", "p.yaml", "--locked"]);
    assert_eq!(locked.status.code(), Some(0), "{}", text(&locked));
    let utf16: Vec<u8> = "\u{feff}pipeline: p\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(space.path("q.yaml"), utf16).unwrap();
    let refused = space.output(&["run", "q.yaml"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused).contains("q.yaml is UTF-16; save it as UTF-8"), "{}", text(&refused));
}

#[test]
fn keys_of_mmaction2_that_change_nothing_are_one_note() {
    let space = Space::new();
    space.write("videos/a/a.mp4", "");
    space.write(
        "p.yaml",
        "pipeline: p\nextends: [builtin/datasets/class_folder, builtin/models/tsn_r50, builtin/schedules/sgd_50e]\n\
         vars: { data: videos }\nstages:\n  model:\n    with:\n      train_dataloader: { num_workers: 8, persistent_workers: true }\n      \
         model: { backbone: { pretrained: null, style: pytorch }, cls_head: { in_channels: 2048 } }\n      \
         train_cfg: { type: EpochBasedTrainLoop, val_begin: 1 }\n",
    );
    let plan = space.output(&["plan", "p.yaml"]);
    let shown = text(&plan);
    assert_eq!(plan.status.code(), Some(0), "{shown}");
    let notes: Vec<&str> = shown.lines().filter(|line| line.starts_with("note: ")).collect();
    assert_eq!(notes.len(), 1, "{shown}");
    for key in ["train_dataloader.num_workers", "cls_head.in_channels", "train_cfg.type", "backbone.style"] {
        assert!(notes[0].contains(key), "{notes:?}");
    }
    let changes = space.output(&["plan", "p.yaml", "--set", "stages.model.with.model.backbone.style=caffe"]);
    assert_eq!(changes.status.code(), Some(2), "{}", text(&changes));
}

#[test]
fn a_setting_keeps_its_spelling() {
    let space = Space::new();
    space.write("ds #2/a.txt", "");
    space.write("p.yaml", "pipeline: p\nvars: { v: 1.10, w: \"${v}\" }\nstages:\n  a: { uses: command, with: { shell: 'echo v${v} ${w} \"${t}\" > \"${outputs.o}\"', outputs: { o: o } } }\n");
    let shell = |settings: &[&str]| {
        space.run("p.yaml", settings).ok();
        std::fs::read_to_string(space.path(".pipe/out/p/a/o")).unwrap()
    };
    assert_eq!(shell(&["vars.t=a: b #2"]), "v1.10 1.10 a: b #2\n");
    assert_eq!(shell(&["vars.t=010", "vars.v=1e3"]), "v1e3 1e3 010\n");
}
