//! Which stages rerun after a change: exactly those that depend on it, with the reason.

use crate::space::{RunOutput, Space};
use pipe_schemas::tables::{MissingReason, MissingRow, PredictionRow, Verdict, VideoRow};
use pipe_tables::{read_rows, read_training_log};
use pipe_testkit::repository;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

fn ran(run: &RunOutput) -> Vec<String> {
    run.stages("ran")
}

#[test]
fn a_changed_learning_rate_reruns_training_and_nothing_before() {
    let space = Space::new();
    let first = space.run_tiny(&[]).ok();
    assert_eq!(
        ran(&first),
        ["clips", "eval", "frames", "int8", "labels", "model", "onnx", "samples", "table", "videos"]
    );
    let again = space.run_tiny(&["stages.model.with.optim_wrapper.optimizer.lr=0.01"]).ok();
    assert_eq!(ran(&again), ["eval", "int8", "model", "onnx", "table"]);
    let started = again.events.iter().find(|event| event["event"] == "stage_started" && event["stage"] == "model");
    let reasons = started.unwrap()["reasons"].to_string();
    assert!(reasons.contains("with.optim_wrapper.optimizer.lr: 0.002 → 0.01"), "{reasons}");
    // A default written out is the same parameter.
    let same = space.run_tiny(&["stages.model.with.optim_wrapper.optimizer.weight_decay=0.01"]).ok();
    assert_eq!(ran(&same), [""; 0]);
}

#[test]
fn an_output_with_the_same_bytes_stops_the_ripple() {
    let space = Space::new();
    space.run_tiny(&[]).ok();
    // Another severity is another key, but the labels are the same: nothing after them runs.
    let again = space.run_tiny(&["stages.labels.with.unlabelled=off"]).ok();
    assert_eq!(ran(&again), ["labels"]);
}

/// Copies the synthetic videos to a folder of the user's, and writes a pipeline that reads them there.
fn own_videos(space: &Space) {
    space.run_tiny(&[]).ok();
    let out = space.path(".pipe/out/smoke/clips");
    copy(&out, &space.path("data"));
    let smoke = repository().join("pipelines/smoke.yaml");
    let text = format!(
        "pipeline: own\nextends: [{}]\nvars: {{ epochs: 1 }}\nstages:\n  clips: null\n  \
         videos: !replace {{ uses: ingest, with: {{ root: data/videos }} }}\n  \
         labels: {{ inputs: {{ lists: null }}, with: {{ root: data/lists }} }}\n  \
         samples: {{ with: {{ train: {{ sampler: {{ clip_len: 4 }} }}, test: {{ sampler: {{ clip_len: 4, num_clips: 1 }} }} }} }}\n",
        smoke.display()
    );
    space.write("own.yaml", &text);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            // Not `fs::copy`: the files of a store are read-only, the user's are not.
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

fn touch_all(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            touch_all(&entry.path());
        } else {
            let later = SystemTime::now() + Duration::from_secs(5);
            fs::File::options().write(true).open(entry.path()).unwrap().set_modified(later).unwrap();
        }
    }
}

#[test]
fn touching_videos_reruns_nothing_and_adding_one_reruns_its_dependents() {
    let space = Space::new();
    own_videos(&space);
    space.run("own.yaml", &[]).ok();
    touch_all(&space.path("data"));
    let touched = space.run("own.yaml", &[]).ok();
    assert_eq!(ran(&touched), [""; 0]);

    // Not in any list: the labels are the same, so only what reads the videos themselves runs again.
    let first = space.path("data/videos/MoveLeft/v_MoveLeft_g01_c01.avi");
    fs::copy(&first, space.path("data/videos/MoveLeft/v_MoveLeft_g09_c09.avi")).unwrap();
    let added = space.run("own.yaml", &[]).ok();
    let ran = ran(&added);
    for stage in ["videos", "labels", "frames"] {
        assert!(ran.contains(&stage.to_owned()), "{ran:?}");
    }
    let started = added.events.iter().find(|event| event["event"] == "stage_started" && event["stage"] == "videos");
    assert!(started.unwrap()["reasons"].to_string().contains("v_MoveLeft_g09_c09.avi: added"));
    assert!(
        added.stage("labels")["warnings"].to_string().contains("v_MoveLeft_g09_c09"),
        "an unlabelled video is reported"
    );
}

#[test]
fn an_invalid_video_is_counted_and_affects_nothing_else() {
    let space = Space::new();
    own_videos(&space);
    space.write("data/videos/MoveLeft/v_MoveLeft_g01_c01.avi", "this is not a video");
    let strict = space.run("own.yaml", &[]);
    assert_eq!(strict.code, Some(1));
    let failure = strict.stage("labels")["failure"].to_string();
    assert!(failure.contains("v_MoveLeft_g01_c01"), "{failure}");
    let lenient = space.run("own.yaml", &["stages.labels.with.missing=warn"]).ok();
    assert!(lenient.stage("videos")["warnings"].to_string().contains("v_MoveLeft_g01_c01"));
    let metrics = space.json("own", "eval", "metrics.json");
    assert_eq!((metrics["num_videos"].as_u64(), metrics["num_missing"].as_u64()), (Some(3), Some(1)), "{metrics}");
}

/// Of four test videos one is absent and one too short, of eight training videos one is too short.
#[test]
fn check_summaries_and_metrics_agree_on_what_is_missing() {
    let space = Space::new();
    own_videos(&space);
    let short = Space::new();
    short.write(
        "clips.yaml",
        "pipeline: clips\nstages:\n  clips:\n    uses: synthesize\n    with: { classes: [move_left, move_right], groups: 3, \
         test_groups: 1, clips_per_group: 2, frames_per_clip: 6, width_px: 96, height_px: 72 }\n",
    );
    short.run("clips.yaml", &[]).ok();
    let (clips, videos) = (short.path(".pipe/out/clips/clips/videos"), space.path("data/videos"));
    for name in ["MoveRight/v_MoveRight_g01_c01.avi", "MoveLeft/v_MoveLeft_g02_c01.avi"] {
        fs::write(videos.join(name), fs::read(clips.join(name)).unwrap()).unwrap();
    }
    fs::remove_file(videos.join("MoveLeft/v_MoveLeft_g01_c01.avi")).unwrap();
    let sampler = "sampler: !replace { type: UntrimmedSampleFrames, clip_len: 4, clip_interval: 16 }"; // 9 frames
    space.write(
        "short.yaml",
        &format!(
            "pipeline: short\nextends: [own.yaml]\nstages:\n  labels: {{ with: {{ missing: warn }} }}\n  \
             samples: {{ with: {{ train: {{ {sampler} }}, test: {{ {sampler} }} }} }}\n"
        ),
    );
    let check = space.output(&["check", "short.yaml"]);
    let checked = String::from_utf8(check.stdout).unwrap();
    assert!(checked.contains("8 of 8 training and 3 of 4 test videos present"), "{checked}");

    let run = space.run("short.yaml", &[]).ok();
    let missing = "missing: 1 of 8 training videos (1 too short for the sampler), 2 of 4 test videos (1 absent, 1 too \
                   short for the sampler)";
    assert_eq!(run.stage("samples")["summary"][1], missing);
    let warnings = run.stage("samples")["warnings"].to_string();
    for name in ["MoveRight/v_MoveRight_g01_c01", "MoveLeft/v_MoveLeft_g02_c01"] {
        assert!(warnings.contains(name) && warnings.contains("6 frames"), "{warnings}");
    }
    let rows: Vec<MissingRow> = read_rows(&space.path(".pipe/out/short/samples/samples/missing.parquet")).unwrap();
    let names: Vec<_> = rows.iter().map(|row| (row.video_id.as_str(), row.reason)).collect();
    let expect = [
        ("MoveLeft/v_MoveLeft_g02_c01", MissingReason::TooShort),
        ("MoveLeft/v_MoveLeft_g01_c01", MissingReason::Absent),
        ("MoveRight/v_MoveRight_g01_c01", MissingReason::TooShort),
    ];
    assert_eq!(names, expect);

    let metrics = space.json("short", "eval", "metrics.json");
    let counts = ["num_videos", "num_missing", "num_listed"].map(|name| metrics[name].as_u64().unwrap());
    assert_eq!(counts, [2, 2, 4], "{metrics}");
    assert_eq!((&metrics["missing"]["num_absent"], &metrics["missing"]["num_too_short"]), (&1.into(), &1.into()));
    let summary = run.stage("eval")["summary"][0].to_string();
    assert!(summary.contains(" on 2 of 4 videos (2 missing: 1 absent, 1 too short for the sampler)"), "{summary}");
    let predictions: Vec<PredictionRow> = read_rows(&space.path(".pipe/out/short/eval/predictions.parquet")).unwrap();
    assert!(predictions.iter().all(|row| row.video_id.starts_with(&row.class_names[0])), "{predictions:?}");
    let log = read_training_log(&space.path(".pipe/out/short/model/training_log.parquet")).unwrap();
    assert!(log.iter().all(|row| row.num_clips + row.num_left_out == 7), "{log:?}");
}

#[test]
fn a_name_that_is_not_utf8_is_reported_and_affects_nothing_else() {
    let space = Space::new();
    own_videos(&space);
    let folder = space.path("data/videos/MoveLeft");
    let place = |name: &[u8]| folder.join(OsStr::from_bytes(name));
    let video = fs::read(folder.join("v_MoveLeft_g01_c01.avi")).unwrap();
    // Two odd names, the name that stands for one of them, and one that no glob matches.
    for name in [b"caf\xe9.avi".as_slice(), b"caf\xe8.avi", br"caf\xE9.avi", b"caf\xe9.txt"] {
        fs::write(place(name), &video).unwrap();
    }
    let first = space.run("own.yaml", &[]).ok();
    let videos = first.stage("videos");
    assert_eq!(videos["summary"][0], "13 videos, 1 duplicate, 2 not named in UTF-8", "{videos}");
    let reason = "the name of the file or of its folder is not UTF-8; rename it";
    let expect = format!(
        r"2 of 15 files are not readable videos: ./MoveLeft/caf\xE8.avi ({reason}), ./MoveLeft/caf\xE9.avi ({reason})"
    );
    assert_eq!(videos["warnings"][0], expect);
    let table = space.path(".pipe/out/own/videos/videos.parquet");
    let rows = || read_rows::<VideoRow>(&table).unwrap();
    let verdicts: Vec<_> = rows()[..3].iter().map(|row| (row.video_id.clone(), row.verdict)).collect();
    let named = |name: &str, verdict| (name.to_owned(), verdict);
    let expect = [
        named(r"./MoveLeft/caf\xE8", Verdict::OddName),
        named(r"./MoveLeft/caf\xE9", Verdict::OddName),
        named(r"MoveLeft/caf\xE9", Verdict::Ok),
    ];
    assert_eq!(verdicts, expect);
    assert!(rows().iter().skip(3).all(|row| row.verdict.is_usable()));
    assert_eq!(space.run("own.yaml", &[]).ok().stages("ran"), [""; 0]);

    // With its own name the file is a video like others.
    fs::rename(place(b"caf\xe8.avi"), place("café.avi".as_bytes())).unwrap();
    let renamed = space.run("own.yaml", &[]).ok();
    assert_eq!(renamed.stage("videos")["summary"][0], "14 videos, 2 duplicate, 1 not named in UTF-8");
    let started = renamed.events.iter().find(|event| event["event"] == "stage_started" && event["stage"] == "videos");
    let reasons = started.unwrap()["reasons"].to_string();
    assert!(reasons.contains("café.avi: added") && reasons.contains("xE8.avi: removed"), "{reasons}");

    // A program would need the name itself.
    space.write(
        "list.yaml",
        "pipeline: l\nstages:\n  names:\n    uses: command\n    sources: [\"data/**/*.avi\"]\n    \
         with: { shell: 'ls data > \"${outputs.n}\"', outputs: { n: n } }\n",
    );
    let refused = space.run("list.yaml", &[]);
    assert_eq!(refused.code, Some(1));
    let failure = refused.stage("names")["failure"].to_string();
    assert!(failure.contains("has a name that is not UTF-8; rename or exclude it"), "{failure}");
}
