//! What `pipe status` prints: a line per pipeline.

use crate::render::{self, record};
use pipe_engine::RunRecord;

/// Prints how the newest run of a pipeline stands; `alive` if its process still runs.
pub(super) fn status(run: &RunRecord, alive: bool, json: bool) {
    if json {
        let mut status = record::json(run);
        status["alive"] = alive.into();
        status["running"] = if alive { run.running.clone() } else { Vec::new() }.into();
        return render::print_json(&status);
    }
    let state = match (alive, run.running.as_slice()) {
        (true, []) => ", running".to_owned(),
        (true, running) => format!(", running: {}", running.join(", ")),
        (false, _) => record::end(run).to_owned(),
    };
    let (summary, counts) = (&run.summary, record::counts(run));
    render::print(&format!("{}: {counts}{state}  ({}, started {})", summary.pipeline, summary.run, summary.started));
}
