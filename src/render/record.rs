//! A recorded run in short, for `pipe runs`, `pipe show`, `pipe status` and `pipe metrics`.

use super::text;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use pipe_engine::events::Outcome;
use pipe_engine::{RunRecord, RunState};
use serde_json::json;

/// Returns the run as JSON. Keys are only ever added.
pub(crate) fn json(run: &RunRecord) -> serde_json::Value {
    let count = |outcome| run.summary.count(outcome);
    json!({
        "run": run.summary.run,
        "pipeline": run.summary.pipeline,
        "started": run.summary.started,
        "duration_millis": duration_millis(run),
        "ended": run.state == RunState::Ended,
        "alive": run.state == RunState::Running,
        "running": if run.state == RunState::Running { run.running.as_slice() } else { &[] },
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

/// Returns how the run stands, to follow the counts; empty for a run that went to its end.
pub(crate) fn state(run: &RunRecord) -> String {
    match (run.state, run.running.as_slice()) {
        (RunState::Ended, _) if run.summary.cancelled => ", stopped".to_owned(),
        (RunState::Ended, _) => String::new(),
        (RunState::Interrupted, _) => ", interrupted".to_owned(),
        (RunState::Running, []) => ", running".to_owned(),
        (RunState::Running, running) => format!(", running: {}", running.join(", ")),
    }
}

/// Returns when the run started, in local time, as `2026-11-25 21:34:10`.
pub(crate) fn started(run: &RunRecord) -> String {
    match run.summary.started.parse::<Timestamp>() {
        Ok(time) => local(&time.to_zoned(TimeZone::system())),
        // A run that was killed in its first moments has no time.
        Err(_) => "-".to_owned(),
    }
}

fn local(time: &Zoned) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns how long the run took, or has taken so far; `-` if that is unknown.
pub(crate) fn duration(run: &RunRecord) -> String {
    duration_millis(run).map_or("-".to_owned(), text::duration)
}

fn duration_millis(run: &RunRecord) -> Option<u64> {
    match run.state {
        RunState::Ended => run.summary.duration_millis,
        RunState::Running => {
            let started = run.summary.started.parse::<Timestamp>().ok()?;
            Timestamp::now().duration_since(started).as_millis().try_into().ok()
        }
        RunState::Interrupted => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_equal_length() {
        for time in ["2026-11-25T20:34:10Z", "2026-01-05T01:02:03.123456789Z", "2026-11-25T20:34:10.5Z"] {
            let time: Timestamp = time.parse().expect("a time");
            assert_eq!(local(&time.to_zoned(TimeZone::UTC)).len(), "2026-11-25 21:34:10".len());
        }
    }
}
