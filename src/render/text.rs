//! Outcomes, times and sizes as text for people.

use pipe_engine::events::{Failure, Outcome, RunEvent};
use pipe_engine::{StageSummary, grouped};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns a duration as `0.04 s`, `12.3 s`, `4 m 05 s` or `2 h 03 m`.
pub(crate) fn duration(millis: u64) -> String {
    let secs = millis as f64 / 1000.0;
    match millis {
        0..10_000 => format!("{secs:.2} s"),
        10_000..60_000 => format!("{secs:.1} s"),
        60_000..3_600_000 => format!("{} m {:02} s", millis / 60_000, millis / 1000 % 60),
        _ => format!("{} h {:02} m", millis / 3_600_000, millis / 60_000 % 60),
    }
}

/// Returns a size as `813 B`, `21.0 MB` or `2.0 GB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let size = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", size / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size / 1e6),
        _ => format!("{:.1} GB", size / 1e9),
    }
}

/// Returns a count with its noun, such as `1 result` or `1,200 results`.
pub(crate) fn count(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Returns a count with the verb that fits it.
pub(crate) fn count_of(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Returns measured numbers as `loss 0.41  lr 1.0e-4  top1 0.55`.
pub(crate) fn measured(values: &BTreeMap<String, f64>) -> String {
    let texts: Vec<String> = values.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
    texts.join("  ")
}

/// Returns a measured number: whole numbers as they are, others with two decimals, or two significant digits if that is
/// more.
fn number(value: f64) -> String {
    match value.abs() {
        whole if whole.fract() == 0.0 && whole < 1e15 => format!("{value:.0}"),
        0.01..1e6 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    }
}

/// Returns the word for an outcome, padded to one width.
pub(crate) fn outcome(outcome: Outcome, colour: bool) -> String {
    let (word, code) = match outcome {
        Outcome::Hit => ("hit    ", "36"),
        Outcome::Ran => ("ran    ", "32"),
        Outcome::Failed => ("failed ", "31;1"),
        Outcome::Skipped => ("skipped", "33"),
    };
    if colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
}

/// Returns the lines for the end of a stage.
pub(crate) fn stage(stage: &StageSummary, width: usize, colour: bool) -> String {
    let StageSummary { stage: name, outcome: how, duration_millis, parts, summary, warnings, failure, .. } = stage;
    let mut text = format!("{} {name:width$}", outcome(*how, colour));
    if *how == Outcome::Ran || *how == Outcome::Failed {
        text += &format!("  {:>8}", duration(*duration_millis));
    } else {
        text += &format!("  {:>8}", "");
    }
    let parts = parts
        .filter(|parts| parts.hits > 0)
        .map(|parts| format!("reused {} of {} parts", grouped(parts.hits), grouped(parts.hits + parts.ran)));
    for (position, line) in summary.iter().chain(&parts).enumerate() {
        text += &if position == 0 { format!("  {line}") } else { format!("\n{:1$}{line}", "", 20 + width) };
    }
    text.trim_end().to_owned() + &remarks(warnings, failure.as_ref())
}

/// Returns the lines of warnings and of a failure.
pub(crate) fn remarks(warnings: &[String], failure: Option<&Failure>) -> String {
    let warnings = warnings.iter().map(|warning| format!("\n  warning: {}", indented(warning)));
    warnings.chain(failure.map(failed)).collect()
}

/// Returns the lines for another attempt at a stage.
pub(crate) fn retried(event: &RunEvent) -> Option<String> {
    let RunEvent::StageRetried { stage, tries, of, failure } = event else { return None };
    Some(format!("retry   {stage}  attempt {tries} of {of}{}", failed(failure)))
}

fn failed(failure: &Failure) -> String {
    let mut text = format!("\n  error: {}", indented(&failure.error));
    for cause in &failure.causes {
        text += &format!("\n    because: {}", indented(cause));
    }
    if let Some(help) = &failure.help {
        text += &format!("\n  help: {}", indented(help));
    }
    if let Some(log) = &failure.log {
        text += &format!("\n  log: {log}");
    }
    text
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

/// Returns the last line of a run.
pub(crate) fn run_finished(event: &RunEvent) -> Option<String> {
    let RunEvent::RunFinished { pipeline, hits, ran, failed, skipped, cancelled, duration_millis, .. } = event else {
        return None;
    };
    let mut counts = vec![count(*hits, "hit"), format!("{} ran", grouped(*ran))];
    let others = [(*failed, "failed"), (*skipped, "skipped")].into_iter().filter(|(count, _)| *count > 0);
    counts.extend(others.map(|(count, word)| format!("{} {word}", grouped(count))));
    let stopped = if *cancelled { ", stopped" } else { "" };
    Some(format!("{pipeline}: {} in {}{stopped}", counts.join(", "), duration(*duration_millis)))
}

/// Returns how long ago a time was, in one unit.
pub(crate) fn ago(unix_secs: u64, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let secs = now.saturating_sub(unix_secs);
    match secs {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", secs / 60),
        3600..172_800 => format!("{} h ago", secs / 3600),
        _ => format!("{} days ago", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let check = |millis, expect: &str| assert_eq!(duration(millis), expect);
        check(42, "0.04 s");
        check(12_345, "12.3 s");
        check(245_000, "4 m 05 s");
        check(7_380_000, "2 h 03 m");
    }

    #[test]
    fn measured_numbers_read_well() {
        let values = [("loss", 0.4149), ("lr", 0.0001), ("top1", 0.55), ("images_per_sec", 1234.5), ("epoch", 3.0)];
        let values = values.map(|(name, value)| (name.to_owned(), value)).into();
        assert_eq!(measured(&values), "epoch 3  images_per_sec 1234.50  loss 0.41  lr 1.0e-4  top1 0.55");
        assert_eq!([number(f64::NAN), number(-0.5), number(0.0)], ["NaN", "-0.50", "0"]);
    }

    #[test]
    fn sizes_read_well() {
        let check = |size, expect: &str| assert_eq!(bytes(size), expect);
        check(813, "813 B");
        check(21_040_000, "21.0 MB");
        check(2_000_000_000, "2.0 GB");
    }
}
