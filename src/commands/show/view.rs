//! What `pipe show` prints: a line for the run, then its stages.

use crate::render::{self, record, text};
use pipe_engine::{RunRecord, RunState};

/// Prints a JSON object per stage.
pub(super) fn json(run: &RunRecord) {
    run.summary.stages.iter().for_each(render::print_json);
}

/// Prints the run and its stages.
pub(super) fn text(run: &RunRecord) {
    let summary = &run.summary;
    let (counts, state) = (record::counts(run), record::state(run));
    let (started, duration) = (record::started(run), record::duration(run));
    let duration = if duration == "-" { String::new() } else { format!(", {duration}") };
    render::print(&format!("{} of {}, started {started}{duration}: {counts}{state}", summary.run, summary.pipeline));
    let width = summary.stages.iter().map(|stage| stage.stage.len()).max().unwrap_or(0);
    for stage in &summary.stages {
        render::print(&text::stage(stage, width, false));
        if !stage.environment.is_empty() {
            let environment = pipe_engine::environment_line(&stage.environment);
            render::print(&format!("{:1$}environment: {environment}", "", 20 + width));
        }
    }
    for stage in &run.running {
        let word = match run.state {
            RunState::Running => "running",
            RunState::Interrupted | RunState::Ended => "interrupted",
        };
        render::print(&format!("{word} {stage}"));
    }
}
