//! What `pipe check` prints: results on stdout, mistakes on stderr.

use crate::render::{self, text};
use pipe_engine::events::Outcome;
use pipe_engine::{Findings, Plan, StageSummary, Unchecked};
use serde::Serialize;
use serde_json::json;

/// A pipeline file without mistakes.
#[derive(Debug, Serialize)]
pub(super) struct ValidFile {
    pipeline: String,
    /// Names of the stages, in the order in which they can run.
    stages: Vec<String>,
}

impl ValidFile {
    /// Returns what is shown of a plan.
    pub(super) fn of(plan: &Plan) -> Self {
        let stages = plan.order().iter().map(|&stage| plan.stage(stage).name.to_string()).collect();
        Self { pipeline: plan.name().to_owned(), stages }
    }

    fn line(&self) -> String {
        let stages = text::count(self.stages.len() as u64, "stage");
        format!("{}: {stages}, no mistakes: {}", self.pipeline, self.stages.join(" → "))
    }
}

/// Prints what the lists and videos show, after the line of the file.
pub(super) fn findings(file: &ValidFile, findings: &Findings, json: bool) {
    if json {
        return findings_json(file, findings);
    }
    let (failed, passed): (Vec<_>, Vec<_>) = findings.stages.iter().partition(|stage| stage.failure.is_some());
    if failed.is_empty() {
        render::print(&file.line());
    }
    for stage in passed.into_iter().filter(|stage| stage.outcome != Outcome::Skipped) {
        render::print(&finding(stage, findings.quick.contains(&stage.stage)));
    }
    for stage in &findings.unchecked {
        render::print(&unchecked(stage));
    }
    for stage in &failed {
        render::message(&finding(stage, false));
    }
    if !failed.is_empty() {
        let names: Vec<String> = failed.iter().map(|stage| format!("`{}`", stage.stage)).collect();
        render::message(&format!(
            "error: mistakes in the inputs of {}; nothing was decoded or trained",
            names.join(" and ")
        ));
    }
}

/// Prints an object for the file and for each stage.
fn findings_json(file: &ValidFile, findings: &Findings) {
    render::print_json(&json!({ "event": "file_checked", "pipeline": file.pipeline, "stages": file.stages }));
    for stage in &findings.stages {
        let quick = findings.quick.contains(&stage.stage);
        render::print_json(&json!({ "event": "stage_checked", "quick": quick, "result": stage }));
    }
    for Unchecked { stage, port, needs } in &findings.unchecked {
        render::print_json(&json!({ "event": "stage_unchecked", "stage": stage, "port": port, "needs": needs }));
    }
}

/// Returns the lines of a checked stage.
fn finding(stage: &StageSummary, quick: bool) -> String {
    let quick = quick.then(|| "quick check: damage that only decoding shows is found by `pipe run`".to_owned());
    let lines: Vec<&str> = stage.summary.iter().chain(&quick).map(String::as_str).collect();
    let remarks = text::remarks(&stage.warnings, stage.failure.as_ref());
    format!("{}: {}", stage.stage, lines.join("\n  ")).trim_end().to_owned() + &remarks
}

/// Returns the line of a stage that could not be checked.
fn unchecked(unchecked: &Unchecked) -> String {
    let Unchecked { stage, port, needs } = unchecked;
    format!("{stage}: not checked, because its input `{port}` comes from `{needs}`, which has not run yet")
}
