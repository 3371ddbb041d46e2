//! [`picture`]: accuracy against latency.

use pipe_pictures::{Point, Scatter};
use pipe_schemas::tables::BenchmarkRow;
use std::io;

/// Returns the picture as a PNG file: a color for each engine. Variants without accuracy or latency are left out.
pub(crate) fn picture(metric: &str, rows: &[BenchmarkRow]) -> io::Result<Vec<u8>> {
    let mut engines: Vec<&str> = rows.iter().map(|row| row.engine.as_str()).collect();
    engines.sort_unstable();
    engines.dedup();
    let point = |row: &BenchmarkRow| {
        let (latency, accuracy) = (row.latency_p50_ms?, row.accuracy?);
        let engine = row.engine.split(' ').next().unwrap_or_default();
        let text = format!("{} ({engine}): {accuracy:.3}, {latency:.1} ms", row.variant);
        let series = engines.binary_search(&row.engine.as_str()).unwrap_or_default();
        Some(Point { place: latency, value: accuracy, interval: row.accuracy_low.zip(row.accuracy_high), series, text })
    };
    let title = format!("{metric} against median latency");
    Scatter { title, unit: "ms".to_owned(), points: rows.iter().filter_map(point).collect() }.to_png()
}
