//! The table as text: [`table`] for `benchmark.txt`, [`line()`] for the summary.

use pipe_schemas::stages::benchmark::BenchmarkReport;
use pipe_schemas::tables::BenchmarkRow;
use pipe_stage::{grouped, size_text};

/// Returns a row in one line, such as `int8 (onnxruntime 1.31.1): top1 0.89, change -0.01 (-0.04 to +0.01), 1 MB, 3.1 ms (p99 3.4 ms)`.
pub(crate) fn line(metric: &str, row: &BenchmarkRow) -> String {
    let name = format!("{} ({})", row.variant, row.engine);
    if !row.unsupported.is_empty() {
        return format!("{name}: unsupported: {}", row.unsupported);
    }
    format!(
        "{name}: {metric} {}, change {}, {}, {} ms (p99 {} ms)",
        number(row.accuracy, 2),
        change(row),
        size_text(row.size_bytes),
        number(row.latency_p50_ms, 1),
        number(row.latency_p99_ms, 1),
    )
}

fn change(row: &BenchmarkRow) -> String {
    let change = row.change.map_or_else(|| "?".to_owned(), |change| format!("{change:+.2}"));
    match (row.change_low, row.change_high) {
        (Some(low), Some(high)) => format!("{change} ({low:+.2} to {high:+.2})"),
        _ => change,
    }
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.decimals$}"))
}

fn count(value: Option<u64>) -> String {
    value.map_or_else(|| "?".to_owned(), grouped)
}

/// Returns the whole table.
pub(crate) fn table(report: &BenchmarkReport) -> String {
    let heading = [
        "variant",
        "engine",
        &report.metric,
        "change",
        "same class",
        "size",
        "parameters",
        "multiply-adds",
        "p50 ms",
        "p99 ms",
        "peak memory",
    ];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    lines.extend(report.rows.iter().map(cells));
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..heading.len()).map(|column| width(column).unwrap_or(0)).collect();
    let text = |line: &Vec<String>| {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let unsupported = report.rows.iter().filter(|row| !row.unsupported.is_empty());
    let reasons: String = unsupported
        .map(|row| format!("{} ({}): unsupported: {}\n", row.variant, row.engine, row.unsupported))
        .collect();
    format!(
        "{} videos, {} of the test list missing; changes are from `{}` on the same videos, with an interval\n\
         latency of {}, {}, {}\n\n{}{}{reasons}",
        report.num_videos,
        report.num_missing,
        report.baseline,
        counted(report.batch_size, "clip"),
        counted(report.threads, "thread"),
        report.processor,
        lines.iter().map(text).collect::<String>(),
        if reasons.is_empty() { "" } else { "\n" },
    )
}

fn counted(count: u32, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn cells(row: &BenchmarkRow) -> Vec<String> {
    let mut cells = vec![row.variant.clone(), row.engine.clone()];
    if !row.unsupported.is_empty() {
        cells.push("unsupported".to_owned());
        return cells;
    }
    cells.extend([
        number(row.accuracy, 4),
        change(row),
        number(row.agreement, 3),
        size_text(row.size_bytes),
        count(row.num_params),
        count(row.macs),
        number(row.latency_p50_ms, 2),
        number(row.latency_p99_ms, 2),
        row.peak_memory_bytes.map_or_else(|| "?".to_owned(), size_text),
    ]);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_does_not_run_has_its_reason() {
        let row = |unsupported: &str| BenchmarkRow {
            variant: "int8".into(),
            engine: "openvino".into(),
            unsupported: unsupported.into(),
            accuracy: Some(0.875),
            change: Some(-0.125),
            change_low: Some(-0.25),
            change_high: Some(0.0),
            size_bytes: 3_000_000,
            latency_p50_ms: Some(2.5),
            latency_p99_ms: Some(3.5),
            ..BenchmarkRow::default()
        };
        let runs = "int8 (openvino): top1 0.88, change -0.12 (-0.25 to +0.00), 3.0 MB, 2.5 ms (p99 3.5 ms)";
        assert_eq!(line("top1", &row("")), runs);
        assert_eq!(line("top1", &row("no kernel")), "int8 (openvino): unsupported: no kernel");
        let report = BenchmarkReport {
            baseline: "fp32".into(),
            metric: "top1".into(),
            num_videos: 8,
            num_missing: 0,
            batch_size: 1,
            threads: 2,
            processor: "a processor".into(),
            rows: vec![row(""), row("no kernel")],
        };
        let text = table(&report);
        assert!(text.contains("int8     openvino  0.8750  "), "{text}");
        assert!(text.ends_with("\nint8 (openvino): unsupported: no kernel\n"), "{text}");
    }
}
