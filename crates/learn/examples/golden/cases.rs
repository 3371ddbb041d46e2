//! [`compare`]: the loop over the cases of files, with a row for each.

use crate::python_json::{read, without_remarks};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;

/// The result of a case.
pub(crate) struct Row {
    pub(crate) is_equal: bool,
    /// What is printed after the id.
    pub(crate) text: String,
}

/// Compares all cases of the files, or the one with the id `only`, and prints a row for each. `condition` says in the last line what equal
/// means. Returns the number of cases that differ or can't be compared.
#[expect(clippy::print_stdout, reason = "the report of a program")]
pub(crate) fn compare<Case: DeserializeOwned>(
    files: &[String],
    only: Option<&str>,
    measure: impl Fn(&Case) -> Result<Row, Box<dyn Error>>,
    condition: &str,
) -> Result<usize, Box<dyn Error>> {
    pipe_learn::pin_threads();
    let (mut failed, mut compared) = (0, 0);
    for path in files {
        let file = read(path)?;
        let cases = file["cases"].as_array().ok_or_else(|| format!("{path}: `cases` is not a list"))?;
        for (number, case) in (1..).zip(cases) {
            let id = case["id"].as_str().map_or_else(|| number.to_string(), str::to_owned);
            if only.is_some_and(|only| only != id) {
                continue;
            }
            compared += 1;
            let (verdict, text) = match parse(case).and_then(|case| measure(&case)) {
                Ok(Row { is_equal: true, text }) => ("equal", text),
                Ok(Row { is_equal: false, text }) => ("DIFFERS", text),
                Err(error) => ("FAILED", error.to_string()),
            };
            failed += usize::from(verdict != "equal");
            println!("{verdict:8} {id:48} {text}");
        }
    }
    println!("{} of {compared} cases {condition}", compared - failed);
    if compared == 0 { Err("no case has been compared".into()) } else { Ok(failed) }
}

/// Parses a case on its own, so that one with an error does not stop the others.
fn parse<Case: DeserializeOwned>(case: &Value) -> Result<Case, Box<dyn Error>> {
    Ok(serde_json::from_value(without_remarks(case.clone()))?)
}
