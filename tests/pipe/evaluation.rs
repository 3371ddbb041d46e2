//! What follows from predictions: the report of `evaluate`, `fuse` and `compare`.

use crate::space::{Space, tiny};
use pipe_schemas::tables::{ConfusionRow, PredictionRow, SliceRow};
use pipe_tables::read_rows;
use pipe_testkit::repository;
use serde_json::{Value, json};

/// The tiny smoke pipeline with another evaluation, their fusion, and a comparison.
fn pipeline(space: &Space) {
    let smoke = repository().join("pipelines/smoke.yaml");
    let text = format!(
        "pipeline: several\nextends: [{}]\nstages:\n  onnx: null\n  int8: null\n  table: null\n  \
         eval: {{ inputs: {{ labels: labels, videos: videos }}, with: {{ bootstrap: {{ samples: 100 }} }} }}\n  \
         again:\n    uses: evaluate\n    inputs: {{ model: model, frames: frames, samples: samples }}\n    \
         with: {{ average_clips: score, metric_list: [top_k_accuracy], metric_options: {{ top_k_accuracy: {{ topk: [1, 2] }} }} }}\n  \
         fused:\n    uses: fuse\n    inputs: {{ a: eval.predictions, b: again.predictions, labels: labels, classes: labels.classes }}\n    \
         with: {{ coefficients: [1, 3] }}\n  \
         better:\n    uses: compare\n    inputs: {{ a: eval.predictions, b: fused, labels: labels }}\n",
        smoke.display()
    );
    space.write("several.yaml", &text);
}

#[test]
fn a_report_a_fusion_and_a_comparison_follow_from_predictions() {
    let space = Space::new();
    pipeline(&space);
    let run = space.run("several.yaml", &tiny(&[])).ok();
    let out = |stage: &str, file: &str| space.path(".pipe/out/several").join(stage).join(file);
    let metrics = space.json("several", "eval", "metrics.json");
    assert_eq!((&metrics["num_videos"], &metrics["num_missing"]), (&json!(4), &json!(0)), "{metrics}");
    assert_eq!(metrics["intervals"]["videos"]["num_units"], 4, "{metrics}");
    // Two classes with one test group each.
    assert_eq!(metrics["intervals"]["groups"]["num_units"], 2, "{metrics}");
    assert_eq!(metrics["denominators"]["balanced_accuracy"], json!({ "num_videos": 4, "num_classes": 2 }));

    let predictions: Vec<PredictionRow> = read_rows(&out("eval", "predictions.parquet")).unwrap();
    let correct = predictions.iter().filter(|row| row.predicted_index == row.class_index).count();
    assert_eq!(metrics["top1"].as_f64(), Some(correct as f64 / 4.0));
    let confusion: Vec<ConfusionRow> = read_rows(&out("eval", "report/confusion.parquet")).unwrap();
    let of =
        |class: &str| confusion.iter().filter(|row| row.class_name == class).map(|row| row.num_videos).sum::<u64>();
    assert_eq!((of("MoveLeft"), of("MoveRight")), (2, 2));
    let report = std::fs::read_to_string(out("eval", "report/report.txt")).unwrap();
    assert!(report.contains("accuracy") && report.contains("   MoveLeft  "), "{report}");
    let slices: Vec<SliceRow> = read_rows(&out("eval", "report/slices.parquet")).unwrap();
    for column in ["duration", "length", "stored_resolution", "resolution", "fps", "codec", "folder", "list"] {
        let videos: u64 = slices.iter().filter(|row| row.column == column).map(|row| row.num_videos).sum();
        assert_eq!(videos, 4, "{column}");
    }
    for file in ["confusion.png", "reliability.png"] {
        let bytes = std::fs::read(out("eval", "report").join(file)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"), "{file}");
    }
    assert_eq!(out("eval", "report/mistakes.png").is_file(), correct < 4);

    let again = space.json("several", "again", "metrics.json");
    assert_eq!((again["top2"].as_f64(), &again["loss"]), (Some(1.0), &Value::Null), "{again}");
    let fused = space.json("several", "fused", "metrics.json");
    assert_eq!(fused["missing"], json!({ "num_in_no_input": 0, "num_not_in_a": 0, "num_not_in_b": 0 }), "{fused}");
    // One view: both averages are the same, and so is their sum.
    let better = space.json("several", "better", "metrics.json");
    assert_eq!((&better["num_same_prediction"], &better["mcnemar"]["exact_p"]), (&json!(4), &json!(1.0)), "{better}");
    let summary = run.stage("better")["summary"].to_string();
    assert!(summary.contains("on 4 videos (0 missing); 0 fixed, 0 broken, McNemar exact p 1.000"), "{summary}");
    assert_eq!(space.run("several.yaml", &tiny(&[])).ok().stages("ran"), [""; 0]);
}

#[test]
fn a_table_of_the_user_divides_the_videos() {
    let space = Space::new();
    pipeline(&space);
    let settings = tiny(&["stages.eval.with.slices=cameras.csv", "stages.fused.with.slices=cameras.csv"]);
    space.write("cameras.csv", "video_id,camera\nother,left\n");
    let run = space.run("several.yaml", &settings).ok();
    let warning =
        "the table of slices has 1 videos: 1 are not evaluated, and 4 predictions are of videos that it does not have";
    for stage in ["eval", "fused"] {
        assert!(run.stage(stage)["warnings"].to_string().contains(warning), "{}", run.stage(stage));
    }
    let out = |stage: &str, file: &str| space.path(".pipe/out/several").join(stage).join(file);
    let predictions: Vec<PredictionRow> = read_rows(&out("eval", "predictions.parquet")).unwrap();
    let cameras = ["left", "right", "unknown", ""];
    let lines = predictions.iter().zip(cameras).map(|(row, camera)| format!("{},{camera}\n", row.video_id));
    space.write("cameras.csv", &format!("video_id,camera\n{}", lines.collect::<String>()));
    let run = space.run("several.yaml", &settings).ok();
    assert_eq!(run.stages("ran"), ["eval", "fused"], "the table is in the key, and `better` reads only predictions");
    for stage in ["eval", "fused"] {
        assert_eq!(run.stage(stage)["warnings"].to_string().matches("table of slices").count(), 0);
        let slices: Vec<SliceRow> = read_rows(&out(stage, "report/slices.parquet")).unwrap();
        let found: Vec<(&str, u64)> = slices
            .iter()
            .filter(|row| row.column == "camera")
            .map(|row| (row.value.as_str(), row.num_videos))
            .collect();
        assert_eq!(found, [("left", 1), ("right", 1), ("unknown", 2)], "{stage}");
    }
    space.write("cameras.csv", "video_id,camera\na,left,x\n");
    let failure = space.run("several.yaml", &settings).stage("eval")["failure"].to_string();
    assert!(failure.contains("cameras.csv: line 2: 3 fields, but the first line has 2"), "{failure}");
    assert_eq!(space.run("several.yaml", &tiny(&["stages.eval.with.slices=missing.csv"])).code, Some(2));
}

#[test]
fn choices_that_are_not_possible_are_mistakes() {
    let space = Space::new();
    pipeline(&space);
    let check = |setting: &str, expect: &str| {
        let run = space.run("several.yaml", &tiny(&[setting]));
        assert_eq!(run.code, Some(2), "{setting}: {}", run.stderr);
        assert!(format!("{:?}", run.events).contains(expect), "{setting}: {:?}", run.events);
    };
    check("stages.again.with.metric_list=[top_k_acuracy]", "top_k_accuracy");
    check("stages.again.with.metric_options.top_k_accuracy.topk=[0]", "0 is not a number from 1 to 10");
    check("stages.fused.with.coefficients=[1, -1]", "a weight is below 0, or all are 0");
    check("stages.fused.with.coefficients=[1, 2, 3]", "`coefficients`: 3 values for 2 connected inputs (a, b)");
    check("stages.eval.with.bootstrap.confidence=1.5", "confidence");
}
