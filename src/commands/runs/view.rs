//! What `pipe runs` prints: a line per run.

use crate::render::table::{Align, Table};
use crate::render::{self, record};
use pipe_engine::RunRecord;

/// Prints a JSON object per run.
pub(super) fn json(runs: &[&RunRecord]) {
    for run in runs {
        render::print_json(&record::json(run));
    }
}

/// Prints the runs as a table.
pub(super) fn table(runs: &[&RunRecord]) {
    let columns = [
        ("run", Align::Left),
        ("pipeline", Align::Left),
        ("started", Align::Left),
        ("duration", Align::Right),
        ("stages", Align::Left),
    ];
    let mut table = Table::new(columns);
    for run in runs {
        let stages = record::counts(run) + &record::state(run);
        let (id, pipeline) = (run.summary.run.clone(), run.summary.pipeline.clone());
        table.row([id, pipeline, record::started(run), record::duration(run), stages]);
    }
    table.print();
}
