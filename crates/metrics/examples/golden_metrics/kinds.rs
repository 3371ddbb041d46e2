//! The kinds of cases: the keys of a file. [`read`] reads the cases, [`measure`] computes and compares the figures of one.

mod multi_label;
mod scores;
mod single_label;

use crate::case::{Case, Figures};
use crate::python_json::{self, is_remark};
use serde_json::{Map, Value};
use std::error::Error;

/// Limit of differences, relative to numbers above 1. The files have 12 digits.
pub(crate) const LIMIT: f64 = 1e-9;
/// Limit for temperatures: the files have 7 decimals.
pub(crate) const LIMIT_OF_TEMPERATURE: f64 = 1e-7;
/// Limit for what is computed at a temperature of 7 decimals.
pub(crate) const LIMIT_AT_TEMPERATURE: f64 = 1e-8;

/// What equal means, for the last line.
pub(crate) const LIMITS: &str =
    "within 1e-9 (temperatures 1e-7 or of equal cross-entropy, figures at a temperature 1e-8)";

type Measure = fn(&Case) -> Result<Figures, Box<dyn Error>>;

const KINDS: &[(&str, Measure)] = &[
    ("single_label", single_label::measure),
    ("degenerate", single_label::measure_degenerate),
    ("ties", single_label::measure_ties),
    ("multi_label", multi_label::measure),
    ("views", scores::measure_views),
    ("fusion", scores::measure_fusion),
];

/// A case that is not parsed yet.
pub(crate) struct UnparsedCase {
    pub(crate) kind: String,
    /// Its position among those of its kind, from 1.
    pub(crate) position: usize,
    pub(crate) value: Value,
}

/// Reads the cases of a file. Another value in the place of a list counts as one case, which is reported and does not stop the others.
pub(crate) fn read(path: &str) -> Result<Vec<UnparsedCase>, Box<dyn Error>> {
    let file: Map<String, Value> =
        serde_json::from_value(python_json::read(path)?).map_err(|error| format!("{path}: {error}"))?;
    let mut cases = Vec::new();
    for (kind, value) in file.into_iter().filter(|(kind, _)| !is_remark(kind)) {
        let values = if let Value::Array(values) = value { values } else { vec![value] };
        cases.extend((1..).zip(values).map(|(position, value)| UnparsedCase { kind: kind.clone(), position, value }));
    }
    Ok(cases)
}

/// Computes and compares the figures of a case.
pub(crate) fn measure(kind: &str, case: &Case) -> Result<Figures, Box<dyn Error>> {
    let Some((_, measure)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        let known = KINDS.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(", ");
        return Err(format!("`{kind}` is not a kind of cases; the kinds are {known}").into());
    };
    measure(case)?.checked()
}

/// Returns the error for a field that is neither an input nor a figure.
pub(crate) fn unknown(name: &str) -> Box<dyn Error> {
    format!("`{name}` is not a figure that is compared").into()
}
