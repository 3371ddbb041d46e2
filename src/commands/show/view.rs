//! What `pipe show` prints: a line for the run, then its stages.

use crate::render::{self, record, text};
use pipe_engine::RunRecord;

/// Prints a JSON object per stage.
pub(super) fn json(run: &RunRecord) {
    run.summary.stages.iter().for_each(render::print_json);
}

/// Prints the run and its stages.
pub(super) fn text(run: &RunRecord) {
    let summary = &run.summary;
    let (counts, end) = (record::counts(run), record::end(run));
    render::print(&format!("{} of {}, started {}: {counts}{end}", summary.run, summary.pipeline, summary.started));
    let width = summary.stages.iter().map(|stage| stage.stage.len()).max().unwrap_or(0);
    for stage in &summary.stages {
        render::print(&text::stage(stage, width, false));
        if !stage.environment.is_empty() {
            let environment = pipe_engine::environment_line(&stage.environment);
            render::print(&format!("{:1$}environment: {environment}", "", 20 + width));
        }
    }
    for stage in &run.running {
        render::print(&format!("started {stage}, and did not finish"));
    }
}
