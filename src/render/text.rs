//! Outcomes, times and sizes as text for people.

use pipe_engine::events::{Failure, Outcome, RunEvent};
pub(crate) use pipe_engine::size_text as bytes;
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

/// Returns a name without characters that a terminal would execute.
pub(crate) fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Returns a count with its noun, such as `1 result` or `1,200 results`.
pub(crate) fn count(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Returns a count with the verb that fits it.
pub(crate) fn count_of(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Returns a duration in whole seconds as `5 s`, `4 m 05 s` or `2 h 03 m`.
pub(crate) fn duration_in_secs(secs: u64) -> String {
    if secs < 60 { format!("{secs} s") } else { duration(secs.saturating_mul(1000)) }
}

/// Returns why a stage waits. `made_by` is the stage of the same run that makes the result; else another process makes it.
pub(crate) fn waits_for(made_by: Option<&str>) -> String {
    match made_by {
        Some(stage) => format!("the stage `{stage}` of this run makes the same result"),
        None => "another `pipe` is running it".to_owned(),
    }
}

/// Returns measured numbers as `loss 0.41  top1 0.55  lr 1.0e-4  55.1 clips/s`: what tells how training goes, most important
/// first. `--output json` has all of them.
pub(crate) fn measured(values: &BTreeMap<String, f64>) -> String {
    let mut shown: Vec<(u8, String)> =
        values.iter().filter_map(|(name, value)| measured_number(name, *value)).collect();
    shown.sort_by_key(|(rank, _)| *rank);
    shown.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("  ")
}

/// Returns a measured number with its name and rank; `None` if it is of interest only when something is wrong.
fn measured_number(name: &str, value: f64) -> Option<(u8, String)> {
    if let Some(items) = name.strip_suffix("_per_sec") {
        return Some((5, format!("{} {items}/s", number(value))));
    }
    let rank = match name {
        "epoch" => 0,
        "loss" => 1,
        "lr" => 4,
        _ if name.ends_with("_secs") || name.ends_with("_norm") => return None,
        _ if name.starts_with("val_") => 3,
        _ => 2,
    };
    Some((rank, format!("{name} {}", number(value))))
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
    coloured(word, code, colour)
}

/// Returns the word for a stage that was stopped while it ran.
fn stopped(colour: bool) -> String {
    coloured("stopped", "33", colour)
}

fn coloured(word: &str, code: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
}

/// Returns the lines for the end of a stage.
pub(crate) fn stage(stage: &StageSummary, width: usize, colour: bool) -> String {
    let StageSummary { stage: name, outcome: how, duration_millis, parts, summary, warnings, failure, .. } = stage;
    // A stage that was started has a key.
    let was_stopped = *how == Outcome::Skipped && stage.key.is_some();
    let word = if was_stopped { stopped(colour) } else { outcome(*how, colour) };
    let mut text = format!("{word} {name:width$}");
    if *how == Outcome::Ran || *how == Outcome::Failed || was_stopped {
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
    if !failure.last_lines.is_empty() {
        text += "\n  the last lines of its log:";
        text.extend(failure.last_lines.iter().map(|line| format!("\n    {}", line.trim_end())));
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
        let text = |values: &[(&str, f64)]| {
            measured(&values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect())
        };
        let step =
            [("clips_per_sec", 1234.5), ("compute_secs", 0.7), ("data_secs", 0.01), ("epoch", 3.0), ("grad_norm", 3.9)];
        let step = [&step[..], &[("loss", 0.4149), ("lr", 0.0001), ("top1", 0.55), ("val_top1", 0.5)]].concat();
        assert_eq!(text(&step), "epoch 3  loss 0.41  top1 0.55  val_top1 0.50  lr 1.0e-4  1234.50 clips/s");
        assert_eq!(text(&[("top5", 0.9), ("mean_average_precision", 0.25)]), "mean_average_precision 0.25  top5 0.90");
        assert_eq!(text(&[]), "");
        assert_eq!([number(f64::NAN), number(-0.5), number(0.0)], ["NaN", "-0.50", "0"]);
    }
}
