//! What `pipe metrics` prints: a table of runs and metrics, or a line per metric of two runs.

use super::MetricsByName;
use crate::render::table::{Align, Table};
use crate::render::{self, record};
use pipe_engine::{RunRecord, RunSummary};
use serde_json::json;
use std::collections::BTreeSet;

/// Prints a JSON object per run.
pub(super) fn json(runs: &[(&RunRecord, MetricsByName)]) {
    for (run, metrics) in runs {
        let RunSummary { run, pipeline, .. } = &run.summary;
        render::print_json(&json!({ "run": run, "pipeline": pipeline, "metrics": metrics }));
    }
}

/// Prints a table for each pipeline, with a line per run and a column per metric.
pub(super) fn tables(runs: &[(&RunRecord, MetricsByName)]) {
    let mut pipelines: Vec<&str> = Vec::new();
    for (run, _) in runs {
        if !pipelines.contains(&run.summary.pipeline.as_str()) {
            pipelines.push(&run.summary.pipeline);
        }
    }
    for (index, pipeline) in pipelines.into_iter().enumerate() {
        if index > 0 {
            render::print("");
        }
        table(&runs.iter().filter(|(run, _)| run.summary.pipeline == pipeline).collect::<Vec<_>>());
    }
}

fn table(runs: &[&(&RunRecord, MetricsByName)]) {
    let names: BTreeSet<&str> = runs.iter().flat_map(|(_, metrics)| metrics.keys().map(String::as_str)).collect();
    let columns = [("run", Align::Left), ("pipeline", Align::Left), ("started", Align::Left)];
    let metrics = names.iter().map(|name| (*name, Align::Right));
    let mut table = Table::new(columns.into_iter().chain(metrics));
    for (run, metrics) in runs {
        let value = |name: &&str| metrics.get(*name).map_or("-".to_owned(), |value| number(*value));
        let id = [run.summary.run.clone(), run.summary.pipeline.clone(), record::started(run)];
        table.row(id.into_iter().chain(names.iter().map(value)));
    }
    table.print();
    if names.is_empty() {
        render::message("no metrics: no stage of these runs has a result with a file `metrics.json` in the store");
    }
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
