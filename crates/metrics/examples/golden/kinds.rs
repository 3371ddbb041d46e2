//! The kinds of cases: the keys of a file. [`read`] reads the cases, [`measure`] computes and compares the figures of one.

mod multi_label;
mod scores;
mod single_label;

use crate::case::{Case, Figures};
use serde_json::{Map, Value};
use std::error::Error;

/// Limit of differences, relative to numbers above 1. The files have 12 digits.
pub(crate) const LIMIT: f64 = 1e-9;
/// Limit for temperatures: the files have 7 decimals. Where the cross-entropy falls up to the limit of the temperature, that of the original
/// stops before it.
pub(crate) const LIMIT_OF_TEMPERATURE: f64 = 1e-7;
/// Limit for the calibration error at a temperature, which inherits the difference of that.
pub(crate) const LIMIT_AT_TEMPERATURE: f64 = 1e-8;

/// What equal means, for the last line.
pub(crate) const LIMITS: &str = "within 1e-9 (temperatures 1e-7, calibration errors at a temperature 1e-8)";

type Measure = fn(&Case) -> Result<Figures, Box<dyn Error>>;

const KINDS: &[(&str, Measure)] = &[
    ("single_label", single_label::measure),
    ("degenerate", single_label::measure_degenerate),
    ("ties", single_label::measure_ties),
    ("multi_label", multi_label::measure),
    ("views", scores::measure_views),
    ("fusion", scores::measure_fusion),
];

/// Reads the cases of a file, each with its kind.
pub(crate) fn read(path: &str) -> Result<Vec<(&'static str, Case)>, Box<dyn Error>> {
    let text = fs_err::read_to_string(path)?;
    let file: Map<String, Value> =
        serde_json::from_str(&without_nan(&text)).map_err(|error| format!("{path}: {error}"))?;
    let mut cases = Vec::new();
    for (name, value) in file {
        let Some((kind, _)) = KINDS.iter().find(|(kind, _)| *kind == name) else {
            let known = KINDS.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(", ");
            return Err(format!("{path}: `{name}` is not a kind of cases; the kinds are {known}").into());
        };
        let Value::Array(values) = value else { return Err(format!("{path}: `{name}` is not a list").into()) };
        for (position, value) in (1..).zip(values) {
            let case = Case::new(value, position).map_err(|error| format!("{path}: {name}: {error}"))?;
            cases.push((*kind, case));
        }
    }
    Ok(cases)
}

/// Computes and compares the figures of a case.
pub(crate) fn measure(kind: &str, case: &Case) -> Result<Figures, Box<dyn Error>> {
    let found = KINDS.iter().find(|(known, _)| *known == kind).ok_or("the kind is not known")?;
    (found.1)(case)?.checked()
}

/// Returns the error for a field that is neither an input nor a figure.
pub(crate) fn unknown(name: &str) -> Box<dyn Error> {
    format!("`{name}` is not a figure that is compared").into()
}

/// Writes `NaN`, which Python writes and JSON does not have, as `null`. It is not changed within strings.
fn without_nan(text: &str) -> String {
    let (mut result, mut rest, mut in_string) = (String::with_capacity(text.len()), text, false);
    while let Some(at) = rest.find(['"', '\\', 'N']) {
        let (before, found) = rest.split_at(at);
        result.push_str(before);
        let (written, len) = if !in_string && found.starts_with("NaN") {
            ("null", 3)
        } else if in_string && found.starts_with('\\') {
            let len = 1 + found[1..].chars().next().map_or(0, char::len_utf8);
            (&found[..len], len)
        } else {
            in_string ^= found.starts_with('"');
            (&found[..1], 1)
        };
        result.push_str(written);
        rest = &found[len..];
    }
    result + rest
}

#[cfg(test)]
mod tests {
    #[test]
    fn nan_is_null_except_in_strings() {
        let text = r#"{"NaN": [NaN, "a \" NaN", "\\", NaN]}"#;
        assert_eq!(super::without_nan(text), r#"{"NaN": [null, "a \" NaN", "\\", null]}"#);
    }
}
