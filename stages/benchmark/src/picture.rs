//! [`picture`]: accuracy against latency.

use pipe_pictures::{Point, Scatter};
use pipe_schemas::tables::BenchmarkRow;
use std::io;

/// Returns the picture as a PNG file. Variants without accuracy or latency are left out.
pub(crate) fn picture(metric: &str, rows: &[BenchmarkRow]) -> io::Result<Vec<u8>> {
    let point = |row: &BenchmarkRow| {
        let (latency, accuracy) = (row.latency_p50_ms?, row.accuracy?);
        let engine = row.engine.split(' ').next().unwrap_or_default();
        let interval = row.accuracy_low.zip(row.accuracy_high);
        Some(Point { place: latency, value: accuracy, interval, text: format!("{} ({engine})", row.variant) })
    };
    let title = format!("{metric} against median latency");
    Scatter { title, unit: "ms".to_owned(), points: rows.iter().filter_map(point).collect() }.to_png()
}
