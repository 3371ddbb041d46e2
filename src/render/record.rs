//! A recorded run in short, for `pipe runs`, `pipe show` and `pipe status`.

use pipe_engine::RunRecord;
use pipe_engine::events::Outcome;
use serde_json::json;

/// Returns the run as JSON. Keys are only ever added.
pub(crate) fn json(run: &RunRecord) -> serde_json::Value {
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

/// Returns the number of stages by outcome, such as `3 hits, 2 ran`.
pub(crate) fn counts(run: &RunRecord) -> String {
    let count = |outcome| run.summary.count(outcome);
    let hits = if count(Outcome::Hit) == 1 { "hit" } else { "hits" };
    let all = [
        (count(Outcome::Hit), hits),
        (count(Outcome::Ran), "ran"),
        (count(Outcome::Failed), "failed"),
        (count(Outcome::Skipped), "skipped"),
    ];
    let shown: Vec<String> =
        all.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if shown.is_empty() { "no stage finished".into() } else { shown.join(", ") }
}

/// Returns how the run ended, to follow the counts; empty for a run that went to its end.
pub(crate) fn end(run: &RunRecord) -> &'static str {
    match (run.ended, run.summary.cancelled) {
        (true, true) => ", stopped",
        (true, false) => "",
        (false, _) => ", interrupted",
    }
}
