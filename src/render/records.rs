//! What runs left, as text or JSON lines on stdout.

use super::{print, text};
use crate::commands::Metrics;
use pipe_engine::events::Outcome;
use pipe_engine::{RunRecord, grouped};
use serde_json::json;
use std::fs::Metadata;
use std::path::Path;

fn print_json(value: &serde_json::Value) {
    print(&value.to_string());
}

fn counts(run: &RunRecord) -> serde_json::Value {
    let count = |outcome| run.summary.count(outcome);
    json!({
        "run": run.summary.run,
        "pipeline": run.summary.pipeline,
        "started": run.summary.started,
        "ended": run.ended,
        "cancelled": run.summary.cancelled,
        "hits": count(Outcome::Hit),
        "ran": count(Outcome::Ran),
        "failed": count(Outcome::Failed),
        "skipped": count(Outcome::Skipped),
    })
}

/// Says how a run went, in a few words.
fn how(run: &RunRecord) -> String {
    let count = |outcome| run.summary.count(outcome);
    let all = [
        (count(Outcome::Hit), "hits"),
        (count(Outcome::Ran), "ran"),
        (count(Outcome::Failed), "failed"),
        (count(Outcome::Skipped), "skipped"),
    ];
    let told: Vec<String> =
        all.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let end = match (run.ended, run.summary.cancelled) {
        (true, true) => ", stopped",
        (true, false) => "",
        (false, _) => ", without an end",
    };
    format!("{}{end}", if told.is_empty() { "nothing".into() } else { told.join(", ") })
}

/// Shows a run in a line.
pub(crate) fn run(run: &RunRecord, json: bool) {
    if json {
        return print_json(&counts(run));
    }
    print(&format!("{}  {:16}  {}  {}", run.summary.run, run.summary.pipeline, run.summary.started, how(run)));
}

/// Shows the stages of a run.
pub(crate) fn stages(run: &RunRecord, json: bool) {
    if json {
        for stage in &run.summary.stages {
            print(&serde_json::to_string(stage).unwrap_or_default());
        }
        return;
    }
    print(&format!("{} of {}, started {}: {}", run.summary.run, run.summary.pipeline, run.summary.started, how(run)));
    let width = run.summary.stages.iter().map(|stage| stage.stage.len()).max().unwrap_or(0);
    for stage in &run.summary.stages {
        print(&text::stage(stage, width, false));
    }
    for stage in &run.running {
        print(&format!("begun   {stage}"));
    }
}

/// Shows how the newest run of a pipeline stands.
pub(crate) fn status(run: &RunRecord, alive: bool, json: bool) {
    if json {
        let mut status = counts(run);
        status["alive"] = alive.into();
        status["running"] = if alive { run.running.clone() } else { Vec::new() }.into();
        return print_json(&status);
    }
    let now = match (alive, run.running.as_slice()) {
        (true, []) => ", going on".to_owned(),
        (true, running) => format!(", going on with {}", running.join(", ")),
        (false, _) => String::new(),
    };
    let how = if alive { how(run).replace(", without an end", "") } else { how(run) };
    print(&format!("{}: {how}{now}  ({}, started {})", run.summary.pipeline, run.summary.run, run.summary.started));
}

/// Shows the figures of a run.
pub(crate) fn metrics(run: &RunRecord, metrics: &Metrics, json: bool) {
    if json {
        return print_json(&json!({ "run": run.summary.run, "pipeline": run.summary.pipeline, "metrics": metrics }));
    }
    let figures: Vec<String> = metrics.iter().map(|(name, value)| format!("{name} {}", figure(*value))).collect();
    let figures = if figures.is_empty() { "no metrics".to_owned() } else { figures.join("  ") };
    print(&format!("{}  {:16}  {figures}", run.summary.run, run.summary.pipeline));
}

/// Shows how the figures of two runs differ.
pub(crate) fn metrics_diff(one: &Metrics, two: &Metrics, json: bool) {
    let mut names: Vec<&String> = one.keys().chain(two.keys()).collect();
    names.sort();
    names.dedup();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    for name in names {
        let (one, two) = (one.get(name), two.get(name));
        let difference = one.zip(two).map(|(one, two)| two - one);
        if json {
            print_json(&json!({ "metric": name, "a": one, "b": two, "difference": difference }));
            continue;
        }
        let show = |value: Option<&f64>| value.map_or("-".to_owned(), |value| figure(*value));
        let sign = difference.map_or(String::new(), |by| if by == 0.0 { "same".into() } else { format!("{by:+.4}") });
        print(format!("{name:width$}  {:>10}  {:>10}  {sign}", show(one), show(two)).trim_end());
    }
}

/// Counts are written whole, shares with four digits.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:.4}") }
}

/// Shows a file of a result, or the folder of one.
pub(crate) fn file(path: &Path, metadata: Option<Metadata>) {
    let size = metadata.map_or(String::new(), |metadata| grouped(metadata.len()));
    print(&format!("{size:>15}  {}", path.display()));
}
