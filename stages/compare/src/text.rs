//! The comparison as text.

use pipe_evaluation::LeftOut;
use pipe_schemas::stages::compare::{Comparison, MetricComparison};
use pipe_schemas::tables::{Change, ComparisonRow};
use std::fmt::Write;

/// Maximum number of videos of each kind of change; the table has all.
const MAX_LISTED: usize = 50;

/// Returns the text of `comparison.txt`.
pub(crate) fn text(comparison: &Comparison, left_out: &LeftOut, rows: &[ComparisonRow]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = metrics(&mut text, comparison, left_out).and_then(|()| tests(&mut text, comparison));
    for (change, heading) in [
        (Change::Fixed, "fixed (only b is correct)"),
        (Change::Broken, "broken (only a is correct)"),
        (Change::BothWrong, "both wrong, with different classes"),
        (Change::BothCorrect, "both correct, with different classes"),
    ] {
        let found: Vec<&ComparisonRow> = rows.iter().filter(|row| row.change == change).collect();
        if !found.is_empty() {
            let _ = list(&mut text, heading, &found);
        }
    }
    text
}

/// Writes a line for each metric.
fn metrics(text: &mut String, comparison: &Comparison, left_out: &LeftOut) -> std::fmt::Result {
    let Comparison { metrics, intervals, .. } = comparison;
    writeln!(text, "both have predictions of {}", left_out.denominator())?;
    if let Some(note) = left_out.note() {
        writeln!(text, "{note}")?;
    }
    writeln!(text)?;
    let width = metrics.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let of = intervals.as_ref().map_or_else(String::new, |found| {
        let groups = found.num_groups.map_or_else(String::new, |count| format!(", and over {count} groups"));
        format!("   {} % interval over {} {}{groups}", 100.0 * found.confidence, found.num_videos, left_out.unit)
    });
    writeln!(text, "{:width$} {:>9} {:>9} {:>9}{of}", "", "a", "b", "b - a")?;
    for (name, MetricComparison { a, b, difference, videos, groups, .. }) in metrics {
        write!(text, "{name:width$} {a:>9.4} {b:>9.4} {difference:>+9.4}")?;
        for interval in [videos, groups].into_iter().flatten() {
            write!(text, "   {:+.4} to {:+.4}", interval.low, interval.high)?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn tests(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let Comparison { num_fixed, num_broken, num_both_correct, num_both_wrong, num_same_prediction, mcnemar, .. } =
        comparison;
    writeln!(
        text,
        "\nboth correct {num_both_correct}, only b {num_fixed}, only a {num_broken}, neither {num_both_wrong}; \
         the same prediction for {num_same_prediction}"
    )?;
    let note = |name: &str| if mcnemar.recommended == name { " (use this)" } else { "" };
    let (exact, chi_squared) = (p_text(mcnemar.exact_p), p_text(mcnemar.chi_squared_p));
    writeln!(text, "McNemar, exact: p {exact}{}", note("exact"))?;
    writeln!(
        text,
        "McNemar, chi-squared {:.3} with continuity correction: p {chi_squared}{}",
        mcnemar.chi_squared,
        note("chi_squared")
    )
}

/// Returns a p-value with three decimals; a smaller one as `below 0.001`.
pub(crate) fn p_text(p: f64) -> String {
    if p < 0.001 { "below 0.001".to_owned() } else { format!("{p:.3}") }
}

fn list(text: &mut String, heading: &str, rows: &[&ComparisonRow]) -> std::fmt::Result {
    writeln!(text, "\n{} {heading}:", rows.len())?;
    for row in rows.iter().take(MAX_LISTED) {
        let ComparisonRow { video_id, class_names, predicted_a, predicted_b, probability_a, probability_b, .. } = row;
        let times = match (row.start_secs, row.end_secs) {
            (Some(start), Some(end)) => format!(" {start} to {end} s"),
            _ => String::new(),
        };
        let (percent_a, percent_b) = (100.0 * probability_a, 100.0 * probability_b);
        let label = class_names.join(", ");
        writeln!(
            text,
            "  {video_id}{times}: {predicted_a} {percent_a:.0} % -> {predicted_b} {percent_b:.0} %, is {label}"
        )?;
    }
    if rows.len() > MAX_LISTED {
        writeln!(text, "  and {} more, in comparison.parquet", rows.len() - MAX_LISTED)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_p_values_are_not_written_as_zero() {
        assert_eq!([1e-9, 0.001, 0.125, 1.0].map(p_text), ["below 0.001", "0.001", "0.125", "1.000"]);
    }
}
