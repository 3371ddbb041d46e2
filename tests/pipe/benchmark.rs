//! `benchmark`: one table of a network in 32 bits, in int8 and on libtorch.

use crate::predict::has_engines;
use crate::space::{RunOutput, Space, run_args, run_output, tiny};
use pipe_schemas::tables::BenchmarkRow;
use pipe_tables::read_rows;

/// The setting that adds a table of three variants with these parameters.
fn table_stage(with: &str) -> String {
    let inputs = "frames: frames, samples: samples, baseline: onnx, int8: int8.onnx, original: model";
    format!("stages.table=!replace {{ uses: benchmark, inputs: {{ {inputs} }}, with: {{ {with} }} }}")
}

/// Runs the tiny smoke pipeline with that table.
fn run(space: &Space, with: &str) -> RunOutput {
    space.run_tiny(&[&table_stage(with)])
}

const QUICK: &str = "num_runs: 3, num_rounds: 2, bootstrap: { samples: 100 }";

#[test]
fn a_table_has_a_row_for_each_variant_and_engine() {
    if !has_engines() {
        return;
    }
    let space = Space::new();
    let with = format!("engines: [onnxruntime, openvino], {QUICK}");
    let first = run(&space, &with).ok();
    let report = space.json("smoke", "table", "metrics.json");
    let rows: Vec<BenchmarkRow> = read_rows(&space.path(".pipe/out/smoke/table/report/benchmark.parquet")).unwrap();
    let found: Vec<(&str, &str)> =
        rows.iter().map(|row| (row.variant.as_str(), row.engine.split(' ').next().unwrap())).collect();
    let expect = [
        ("baseline", "onnxruntime"),
        ("baseline", "openvino"),
        ("int8", "onnxruntime"),
        ("int8", "openvino"),
        ("original", "libtorch"),
    ];
    assert_eq!(found, expect);
    assert_eq!(
        (&report["num_videos"], &report["baseline"], &report["metric"]),
        (&4.into(), &"baseline".into(), &"top1".into())
    );
    let eval = space.json("smoke", "eval", "metrics.json");
    for row in &rows {
        assert_eq!((row.unsupported.as_str(), row.num_runs), ("", 6), "{row:?}");
        assert!(row.latency_p50_ms > Some(0.0) && row.latency_p99_ms >= row.latency_p50_ms, "{row:?}");
        assert!(row.peak_memory_bytes > Some(1 << 20), "{row:?}");
        assert!(row.num_params > Some(1000) && row.macs > Some(1000), "{row:?}");
        if row.variant != "int8" {
            // Rounding changes no prediction of these clips.
            assert_eq!(row.accuracy, eval["top1"].as_f64(), "{row:?}");
            assert_eq!((row.change, row.change_low, row.change_high), (Some(0.0), Some(0.0), Some(0.0)), "{row:?}");
            assert_eq!(row.agreement, Some(1.0), "{row:?}");
        }
    }
    assert!(rows[2].size_bytes < rows[0].size_bytes / 2, "{rows:?}");
    let text = std::fs::read_to_string(space.path(".pipe/out/smoke/table/report/benchmark.txt")).unwrap();
    assert!(text.contains("4 videos, 0 of the test list missing; changes are from `baseline`"), "{text}");
    assert!(std::fs::read(space.path(".pipe/out/smoke/table/report/latency.png")).unwrap().starts_with(b"\x89PNG"));

    // Nothing is measured again, except with `--check`, which compares the accuracy only.
    let second = run(&space, &with).ok();
    assert_eq!((second.digests(), &second.run_finished()["ran"]), (first.digests(), &0.into()));
    let mut args = run_args("smoke", &tiny(&[&table_stage(&with)]));
    args.push("--check".to_owned());
    let output = space.output(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let checked = run_output(&output).ok();
    let text = checked.stage("table").to_string();
    assert!(text.contains("its measurements are not compared"), "{text}");
}

#[test]
fn an_engine_that_is_missing_is_a_row_with_the_reason() {
    if !has_engines() {
        return;
    }
    let space = Space::new();
    let with = format!("engines: [onnxruntime, openvino], {QUICK}");
    run(&space, QUICK).ok();
    let args = run_args("smoke", &tiny(&[&table_stage(&with)]));
    let mut command = space.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let output = command.env("OPENVINO_C_DYLIB_PATH", space.path("no.so")).output().unwrap();
    run_output(&output).ok();
    let rows: Vec<BenchmarkRow> = read_rows(&space.path(".pipe/out/smoke/table/report/benchmark.parquet")).unwrap();
    let missing: Vec<&BenchmarkRow> = rows.iter().filter(|row| !row.unsupported.is_empty()).collect();
    assert_eq!(missing.len(), 2, "{rows:?}");
    for row in missing {
        assert_eq!(row.engine, "openvino");
        assert!(row.unsupported.contains("no.so") && row.accuracy.is_none() && row.size_bytes > 0, "{row:?}");
    }
}

#[test]
fn inputs_that_are_no_variants_are_errors() {
    let space = Space::new();
    let check = |inputs: &str, with: &str, expect: &str| {
        let table = format!(
            "stages.table=!replace {{ uses: benchmark, inputs: {{ frames: frames, samples: samples, {inputs} }}, with: {{ {with} }} }}"
        );
        let shell = r#"mkdir "${outputs.any}"; echo 1 > "${outputs.any}/1"; echo 1 > "${outputs.text}""#;
        let any = format!(
            "stages.any={{ uses: command, with: {{ shell: '{shell}', outputs: {{ any: any, text: text }} }} }}"
        );
        let failed = space.run_tiny(&[&any, &table]);
        assert_ne!(failed.code, Some(0), "{inputs}");
        let text = failed.events.iter().map(ToString::to_string).collect::<String>() + &failed.stderr;
        assert!(text.contains(expect), "{inputs}: {text}");
    };
    check("a: onnx", "", "the input `baseline` of the stage `table` is not connected");
    check("baseline: labels", "", "the input `baseline` takes model or onnx, but `labels` is annotations");
    check("baseline: onnx, int8: int8", "", "use `int8.model` or `int8.onnx`");
    // What a command writes is seen only when it is read.
    check("baseline: any.text", "", "the input `baseline` can't be measured");
    check("baseline: any", "", "is neither a model folder nor an ONNX file");
    check("baseline: onnx", "engines: [tensorrt]", "tensorrt");
    check("baseline: onnx", "engines: []", "no engine is listed");
}
