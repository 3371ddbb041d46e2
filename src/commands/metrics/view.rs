//! What `pipe metrics` prints: a line per run, or a line per metric of two runs.

use super::MetricsByName;
use crate::render;
use pipe_engine::RunRecord;
use serde_json::json;

/// Prints the metrics of a run.
pub(super) fn metrics(run: &RunRecord, metrics: &MetricsByName, json: bool) {
    let summary = &run.summary;
    if json {
        return render::print_json(&json!({ "run": summary.run, "pipeline": summary.pipeline, "metrics": metrics }));
    }
    let figures: Vec<String> = metrics.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
    let figures = if figures.is_empty() { "no metrics".to_owned() } else { figures.join("  ") };
    render::print(&format!("{}  {:16}  {figures}", summary.run, summary.pipeline));
}

/// Prints each metric of two runs, and the difference.
pub(super) fn difference(one: &MetricsByName, two: &MetricsByName, json: bool) {
    let mut names: Vec<&String> = one.keys().chain(two.keys()).collect();
    names.sort();
    names.dedup();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    for name in names {
        let (one, two) = (one.get(name), two.get(name));
        let difference = one.zip(two).map(|(one, two)| two - one);
        if json {
            render::print_json(&json!({ "metric": name, "a": one, "b": two, "difference": difference }));
            continue;
        }
        let show = |value: Option<&f64>| value.map_or("-".to_owned(), |value| number(*value));
        let sign = difference.map_or(String::new(), |by| if by == 0.0 { "same".into() } else { format!("{by:+.4}") });
        render::print(format!("{name:width$}  {:>10}  {:>10}  {sign}", show(one), show(two)).trim_end());
    }
}

/// Returns a count without decimals, and other numbers with four.
fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:.4}") }
}
