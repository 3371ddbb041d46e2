//! `compare` on tables of predictions.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use pipe_schemas::tables::{AnnotationRow, Change, ComparisonRow, Labelling, PredictionRow, Split};
use pipe_stage_compare::Compare;
use pipe_tables::{LabelsFolder, read_rows, write_rows};
use pipe_testkit::{Ran, input, run_stage};
use serde_json::{Value, json};
use tempfile::TempDir;

fn row(at: usize, predicted: u32) -> PredictionRow {
    let probabilities: Vec<f32> = (0..2).map(|class| if class == predicted { 0.75 } else { 0.25 }).collect();
    PredictionRow {
        video_id: format!("v{at:02}"),
        class_index: 0,
        class_names: vec!["walk".into()],
        predicted_index: predicted,
        predicted_name: ["walk", "run"][predicted as usize].into(),
        num_views: 1,
        logits: probabilities.iter().map(|value| value.ln()).collect(),
        probabilities,
        ..PredictionRow::default()
    }
}

/// 20 videos of the class 0. The first network is wrong on 0 to 7, the second on 6 to 8: six are fixed and one is broken.
fn tables() -> [Vec<PredictionRow>; 2] {
    [
        (0..20).map(|at| row(at, u32::from(at < 8))).collect(),
        (0..20).map(|at| row(at, u32::from((6..9).contains(&at)))).collect(),
    ]
}

fn run(folder: &TempDir, tables: &[Vec<PredictionRow>; 2], params: &Value) -> Ran {
    for (port, rows) in ["a", "b"].iter().zip(tables) {
        write_rows(&folder.path().join(port), rows).unwrap();
    }
    let output = folder.path().join("out");
    fs_err::create_dir_all(&output).unwrap();
    run_stage(&Compare, params, ["a", "b"].map(|port| (port, input(folder.path().join(port)))), output, 1)
}

fn metrics(folder: &TempDir) -> Value {
    serde_json::from_str(&fs_err::read_to_string(folder.path().join("out/metrics.json")).unwrap()).unwrap()
}

#[test]
fn differences_have_intervals_tests_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(&folder, &tables(), &json!({}));
    let line = &ran.lines()[0];
    assert!(line.starts_with("top1 a 0.60, b 0.85: +0.25 (+0."), "{line}");
    assert!(line.ends_with("on 20 videos; 6 fixed, 1 broken, McNemar exact p 0.125"), "{line}");
    let metrics = metrics(&folder);
    let counts = ["num_both_correct", "num_fixed", "num_broken", "num_both_wrong", "num_same_prediction"];
    assert_eq!(counts.map(|name| metrics[name].as_u64().unwrap()), [11, 6, 1, 2, 13]);
    let top1 = &metrics["metrics"]["top1"];
    let (low, high) = (top1["videos"]["low"].as_f64().unwrap(), top1["videos"]["high"].as_f64().unwrap());
    assert!(low <= 0.25 && 0.25 <= high && low > -0.1 && high < 0.6, "{top1}");
    assert_eq!(metrics["mcnemar"]["recommended"], "exact");
    let rows: Vec<ComparisonRow> = read_rows(&folder.path().join("out/report/comparison.parquet")).unwrap();
    let count = |change| rows.iter().filter(|row| row.change == change).count();
    assert_eq!((count(Change::Fixed), count(Change::Broken), count(Change::Same)), (6, 1, 13));
    let text = fs_err::read_to_string(folder.path().join("out/report/comparison.txt")).unwrap();
    assert!(text.contains("6 fixed (only b is correct):\n  v00: run 75 % -> walk 75 %, is walk\n"), "{text}");
    assert!(text.contains("McNemar, exact: p 0.125 (use this)"), "{text}");
}

/// The interval of the difference of a network to itself is zero: the draws are paired.
#[test]
fn a_network_does_not_differ_from_itself() {
    let folder = tempfile::tempdir().unwrap();
    let [one, _] = tables();
    run(&folder, &[one.clone(), one], &json!({})).lines();
    let metrics = metrics(&folder);
    assert_eq!(metrics["mcnemar"]["exact_p"], 1.0);
    for (name, metric) in metrics["metrics"].as_object().unwrap() {
        assert_eq!(metric["difference"], 0.0, "{name}");
        let interval = metric.get("videos").map(|interval| (&interval["low"], &interval["high"]));
        assert!(interval.is_none_or(|interval| interval == (&json!(0.0), &json!(0.0))), "{name}: {metric}");
    }
}

#[test]
fn videos_of_one_network_are_named_or_dropped() {
    let [mut one, two] = tables();
    one.truncate(18);
    let folder = tempfile::tempdir().unwrap();
    let error = run(&folder, &[one.clone(), two.clone()], &json!({})).error();
    assert_eq!(error, "2 videos are not in the input `a`: v18, v19");
    let ran = run(&folder, &[one, two], &json!({ "on_missing": "drop", "metric_list": ["loss"] }));
    assert!(ran.warnings[0].ends_with("2 videos are not in the input `a`: v18, v19"), "{:?}", ran.warnings);
    assert!(ran.lines()[0].contains("on 18 videos (2 missing: 2 not in a); "), "{:?}", ran.lines());
    let metrics = metrics(&folder);
    assert_eq!((&metrics["num_missing"], &metrics["missing"]["num_not_in_a"]), (&json!(2), &json!(2)));
    assert_eq!(metrics["metrics"].as_object().unwrap().keys().collect::<Vec<_>>(), ["loss"]);
}

/// Segments are called so, and listed ones without a prediction are missing.
#[test]
fn listed_segments_without_a_prediction_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let times = |at: usize| (Some(at as f64), Some(at as f64 + 1.0));
    let tables = tables().map(|mut rows| {
        for (at, row) in rows.iter_mut().enumerate() {
            (row.video_id, (row.start_secs, row.end_secs)) = ("v".into(), times(at));
        }
        rows
    });
    let label = |at: usize| AnnotationRow {
        video_id: "v".into(),
        split: Split::Test,
        class_index: 0,
        group: String::new(),
        start_secs: times(at).0,
        end_secs: times(at).1,
        present: true,
        source_file: "list".into(),
        source_line: 1,
    };
    let labels: Vec<AnnotationRow> = (0..22).map(label).collect();
    LabelsFolder::write(folder.path().join("labels"), &labels, &[], Labelling::SingleLabel).unwrap();
    for (port, rows) in ["a", "b"].iter().zip(&tables) {
        write_rows(&folder.path().join(port), rows).unwrap();
    }
    let output = folder.path().join("out");
    fs_err::create_dir_all(&output).unwrap();
    let inputs = ["a", "b", "labels"].map(|port| (port, input(folder.path().join(port))));
    let ran = run_stage(&Compare, &json!({ "bootstrap": { "samples": 20 } }), inputs, output, 1);
    let denominator = "20 of 22 segments (2 missing: 2 in no input)";
    assert!(ran.lines()[0].contains(&format!(" on {denominator}; ")) && ran.lines().len() == 1, "{:?}", ran.lines());
    let metrics = metrics(&folder);
    let counts = ["num_videos", "num_listed", "num_missing"].map(|name| metrics[name].as_u64().unwrap());
    assert_eq!(counts, [20, 22, 2]);
    let text = fs_err::read_to_string(folder.path().join("out/report/comparison.txt")).unwrap();
    assert!(text.starts_with(&format!("both have predictions of {denominator}\n\n")), "{text}");
    assert!(text.contains("95 % interval over 20 segments"), "{text}");
}

#[test]
fn other_classes_and_metrics_are_refused() {
    let [one, mut two] = tables();
    two.iter_mut().filter(|row| row.predicted_index == 1).for_each(|row| row.predicted_name = "sit".into());
    let folder = tempfile::tempdir().unwrap();
    let error = run(&folder, &[one.clone(), two], &json!({})).error();
    assert_eq!(error, "class 1 is `run` in the input `a`, `sit` in the input `b`");
    let error = run(&folder, &[one.clone(), one], &json!({ "metric_list": ["mean_average_precision"] })).error();
    assert_eq!(
        error,
        "`metric_list` has `mean_average_precision`, which is not defined for videos with one label each"
    );
}
