//! What `pipe check` prints: results on stdout, mistakes on stderr.

use crate::render::{self, text};
use pipe_engine::events::Outcome;
use pipe_engine::{Findings, Plan, StageSummary, Unchecked};

/// Returns the line for a pipeline file without mistakes.
pub(super) fn valid_file(plan: &Plan) -> String {
    let stages: Vec<&str> = plan.order().iter().map(|&stage| plan.stage(stage).name.as_str()).collect();
    format!("{}: {} stages, no mistakes: {}", plan.name(), stages.len(), stages.join(" → "))
}

/// Prints what the lists and videos show, after the line of the file.
pub(super) fn findings(file: &str, findings: &Findings) {
    let (failed, passed): (Vec<_>, Vec<_>) = findings.stages.iter().partition(|stage| stage.failure.is_some());
    if failed.is_empty() {
        render::print(file);
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
