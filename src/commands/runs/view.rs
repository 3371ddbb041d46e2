//! What `pipe runs` prints: a line per run.

use crate::render::{self, record};
use pipe_engine::RunRecord;

/// Prints a run.
pub(super) fn run(run: &RunRecord, json: bool) {
    if json {
        return render::print_json(&record::json(run));
    }
    let summary = &run.summary;
    let end = record::end(run);
    render::print(&format!(
        "{}  {:16}  {}  {}{end}",
        summary.run,
        summary.pipeline,
        summary.started,
        record::counts(run)
    ));
}
