//! What `pipe status` prints: a line per pipeline.

use crate::render::{self, record};
use pipe_engine::RunRecord;

/// Prints how the newest run of a pipeline stands.
pub(super) fn status(run: &RunRecord, json: bool) {
    if json {
        return render::print_json(&record::json(run));
    }
    let (summary, counts, state) = (&run.summary, record::counts(run), record::state(run));
    let (started, duration) = (record::started(run), record::duration(run));
    let duration = if duration == "-" { String::new() } else { format!(", {duration}") };
    render::print(&format!("{}: {counts}{state}  ({}, started {started}{duration})", summary.pipeline, summary.run));
}
