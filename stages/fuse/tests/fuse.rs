//! `fuse` on tables of predictions: sums, videos that are missing, and tables that are not valid.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use pipe_schemas::tables::{AnnotationRow, ClassRow, Labelling, PredictionRow, Split};
use pipe_stage_fuse::Fuse;
use pipe_tables::{LabelsFolder, read_rows, write_rows};
use pipe_testkit::{Ran, input, run_stage};
use serde_json::{Value, json};
use tempfile::TempDir;

const NAMES: [&str; 3] = ["walk", "run", "jump"];

fn row(video_id: &str, class_index: u32, probabilities: [f32; 3]) -> PredictionRow {
    let predicted = pipe_metrics::argmax(&probabilities);
    PredictionRow {
        video_id: video_id.into(),
        class_index,
        class_names: vec![NAMES[class_index as usize].into()],
        predicted_index: predicted as u32,
        predicted_name: NAMES[predicted].into(),
        num_views: 1,
        logits: probabilities.iter().map(|value| value.max(1e-6).ln()).collect(),
        probabilities: probabilities.into(),
        ..PredictionRow::default()
    }
}

/// The first network is wrong on `b`, the second on `a`; the mean is right on both, and wrong on `c`.
fn tables() -> [Vec<PredictionRow>; 2] {
    let one = vec![row("a", 0, [0.7, 0.2, 0.1]), row("b", 1, [0.5, 0.4, 0.1]), row("c", 1, [0.9, 0.1, 0.0])];
    let two = vec![row("a", 0, [0.4, 0.5, 0.1]), row("b", 1, [0.1, 0.8, 0.1]), row("c", 1, [0.6, 0.3, 0.1])];
    [one, two]
}

fn run(folder: &TempDir, tables: &[Vec<PredictionRow>], params: &Value) -> Ran {
    let ports = ["a", "b", "c"];
    for (port, rows) in ports.iter().zip(tables) {
        write_rows(&folder.path().join(port), rows).unwrap();
    }
    let classes: Vec<ClassRow> =
        (0..).zip(NAMES).map(|(class_index, name)| ClassRow { class_index, class_name: name.into() }).collect();
    write_rows(&folder.path().join("classes"), &classes).unwrap();
    let connected = ports.into_iter().take(tables.len()).chain(["classes"]);
    let output = folder.path().join("out");
    fs_err::create_dir_all(&output).unwrap();
    run_stage(&Fuse, params, connected.map(|port| (port, input(folder.path().join(port)))), output, 1)
}

#[track_caller]
fn check_error(tables: &[Vec<PredictionRow>], params: &Value, expect: &str) {
    let folder = tempfile::tempdir().unwrap();
    let error = run(&folder, tables, params).error();
    assert!(error.contains(expect), "{error}");
}

#[test]
fn the_sum_is_evaluated_as_a_network_is() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(&folder, &tables(), &json!({ "coefficients": [1, 0.5], "bootstrap": { "samples": 50 } }));
    assert!(ran.lines()[0].starts_with("1 a + 0.5 b = top1 0.67 ("), "{:?}", ran.lines());
    assert_eq!(ran.warnings, ["1 of 3 classes has no evaluated test video, so the metrics do not measure them: jump"]);
    let out = folder.path().join("out");
    let rows: Vec<PredictionRow> = read_rows(&out.join("predictions.parquet")).unwrap();
    let predicted: Vec<&str> = rows.iter().map(|row| row.predicted_name.as_str()).collect();
    assert_eq!(predicted, ["walk", "run", "walk"]);
    assert!((rows[0].probabilities[0] - (0.7 + 0.2) / 1.5).abs() < 1e-6 && rows[0].num_views == 2);
    let metrics: Value = serde_json::from_str(&fs_err::read_to_string(out.join("metrics.json")).unwrap()).unwrap();
    assert_eq!((&metrics["num_videos"], &metrics["num_missing"]), (&json!(3), &json!(0)));
    assert_eq!(
        (metrics.get("num_listed"), &metrics["not_computed"]["num_listed"]),
        (None, &json!("the list is in the labels: connect the input `labels`"))
    );
    assert!(ran.lines()[0].ends_with(" on 3 videos"), "{:?}", ran.lines());
    assert_eq!(ran.lines()[1], "the number of listed videos is unknown: connect the input `labels`");
    let report = fs_err::read_to_string(out.join("report/report.txt")).unwrap();
    assert!(report.contains("        walk       0.50      1.00      0.67         1\n"), "{report}");
    for file in
        ["confusion.png", "confusion.parquet", "calibration.json", "reliability.png", "report.json", "slices.parquet"]
    {
        assert!(out.join("report").join(file).is_file(), "{file}");
    }
}

#[test]
fn videos_that_a_network_has_not_seen_are_named_or_dropped() {
    let [one, mut two] = tables();
    two.remove(2);
    let params = json!({ "bootstrap": { "samples": 0 } });
    check_error(&[one.clone(), two.clone()], &params, "1 video is not in the input `b`: c");
    let folder = tempfile::tempdir().unwrap();
    let ran = run(&folder, &[one, two], &json!({ "on_missing": "drop", "bootstrap": { "samples": 0 } }));
    assert!(ran.lines()[0].ends_with("on 2 videos (1 missing: 1 not in b)"), "{:?}", ran.lines());
    assert!(ran.warnings[0].contains("1 video is not in the input `b`: c"), "{:?}", ran.warnings);
    let metrics = fs_err::read_to_string(folder.path().join("out/metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(
        (&metrics["num_missing"], &metrics["missing"]),
        (&json!(1), &json!({ "num_not_in_a": 0, "num_not_in_b": 1 }))
    );
}

/// `d` could not be decoded, so that neither network has seen it.
#[test]
fn listed_videos_without_a_prediction_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let label = |video_id: &str| AnnotationRow {
        video_id: video_id.into(),
        split: Split::Test,
        class_index: 0,
        group: String::new(),
        start_secs: None,
        end_secs: None,
        present: true,
        source_file: "list".into(),
        source_line: 1,
    };
    let labels = folder.path().join("labels");
    LabelsFolder::write(&labels, &["a", "b", "c", "d"].map(label), &[], Labelling::SingleLabel).unwrap();
    let [one, two] = tables();
    for (port, rows) in [("a", &one), ("b", &two)] {
        write_rows(&folder.path().join(port), rows).unwrap();
    }
    let output = folder.path().join("out");
    fs_err::create_dir_all(&output).unwrap();
    let inputs = ["a", "b", "labels"].map(|port| (port, input(folder.path().join(port))));
    let ran = run_stage(&Fuse, &json!({ "bootstrap": { "samples": 0 } }), inputs, output, 1);
    assert!(ran.lines()[0].ends_with(" on 3 of 4 videos (1 missing: 1 in no input)"), "{:?}", ran.lines());
    let metrics = fs_err::read_to_string(folder.path().join("out/metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    let counts = ["num_videos", "num_listed", "num_missing"].map(|name| metrics[name].as_u64().unwrap());
    assert_eq!(counts, [3, 4, 1]);
    assert_eq!(metrics["missing"], json!({ "num_in_no_input": 1, "num_not_in_a": 0, "num_not_in_b": 0 }));
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let [one, two] = tables();
    let check = |change: &dyn Fn(&mut Vec<PredictionRow>), expect: &str| {
        let mut other = two.clone();
        change(&mut other);
        check_error(&[one.clone(), other], &json!({}), expect);
    };
    check(&|rows| rows[1].logits[0] = f32::NAN, "the prediction of `b` of the input `b`: the logit of class 0 is NaN");
    check(
        &|rows| rows[0].predicted_name = "sit".into(),
        "class 1 is `run` in the input `classes`, `sit` in the input `b`",
    );
    check(&|rows| rows.clear(), "the input `b` has no predictions");
    let relabelled = |rows: &mut Vec<PredictionRow>| {
        (rows[0].class_index, rows[0].class_names) = (2, vec!["jump".into()]);
    };
    check(&relabelled, "`a` is labelled walk in the input `a`, jump in the input `b`");
    check(&|rows| rows.iter_mut().for_each(|row| row.video_id.push('x')), "no video is in all predictions");
}

#[test]
fn a_weight_for_each_input_is_needed() {
    check_error(&tables(), &json!({ "coefficients": [1] }), "`coefficients` has 1 numbers for 2 predictions (a, b)");
}

#[test]
fn a_file_that_is_cut_off_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = tables();
    write_rows(&folder.path().join("a"), &one).unwrap();
    write_rows(&folder.path().join("b"), &two).unwrap();
    let bytes = fs_err::read(folder.path().join("b")).unwrap();
    fs_err::write(folder.path().join("b"), &bytes[..bytes.len() / 2]).unwrap();
    let ports = ["a", "b"].map(|port| (port, input(folder.path().join(port))));
    let error = run_stage(&Fuse, &json!({}), ports, folder.path().join("out"), 1).error();
    assert!(error.contains("is not a readable Parquet file"), "{error}");
}
