//! [`compare`]: the loop over the cases of files, with a row for each.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::error::Error;

/// A file of golden values.
#[derive(Deserialize)]
struct File<Case> {
    cases: Vec<Case>,
}

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
    id: impl Fn(&Case) -> &str,
    measure: impl Fn(&Case) -> Result<Row, Box<dyn Error>>,
    condition: &str,
) -> Result<usize, Box<dyn Error>> {
    pipe_learn::pin_threads();
    let (mut failed, mut compared) = (0, 0);
    for path in files {
        let text = fs_err::read_to_string(path)?;
        let file: File<Case> = serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
        for case in file.cases.iter().filter(|case| only.is_none_or(|only| id(case) == only)) {
            compared += 1;
            let (verdict, text) = match measure(case) {
                Ok(Row { is_equal: true, text }) => ("equal", text),
                Ok(Row { is_equal: false, text }) => ("DIFFERS", text),
                Err(error) => ("FAILED", error.to_string()),
            };
            failed += usize::from(verdict != "equal");
            println!("{verdict:8} {:48} {text}", id(case));
        }
    }
    println!("{} of {compared} cases {condition}", compared - failed);
    if compared == 0 { Err("no case has been compared".into()) } else { Ok(failed) }
}
