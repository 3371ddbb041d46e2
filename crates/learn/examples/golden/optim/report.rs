//! [`Report`]: a row per case. [`Differences`]: the values of a case.

use std::error::Error;

/// The largest accepted relative difference. Values of the files have 12 digits.
const LIMIT: f64 = 1e-9;

/// Values below this are compared absolutely.
const SMALLEST: f64 = 1e-3;

/// The rows of all cases.
pub(super) struct Report<'a> {
    only: Option<&'a str>,
    compared: usize,
    failed: usize,
}

/// The values of a case that were compared.
#[derive(Default)]
pub(super) struct Differences {
    largest: f64,
    /// The first one beyond the limit.
    wrong: Option<String>,
    num_values: usize,
}

impl<'a> Report<'a> {
    pub(super) fn new(only: Option<&'a str>) -> Self {
        Self { only, compared: 0, failed: 0 }
    }

    /// Compares a case and prints its row, unless only another case, or another kind of cases, is asked for.
    #[expect(clippy::print_stdout, reason = "the report of a program")]
    pub(super) fn case(&mut self, id: &str, measure: impl FnOnce() -> Result<Differences, Box<dyn Error>>) {
        let kind = id.split('.').next();
        if self.only.is_some_and(|only| only != id && Some(only) != kind) {
            return;
        }
        self.compared += 1;
        let row = match measure() {
            Ok(found) => {
                let equal = found.wrong.is_none() && found.num_values > 0;
                self.failed += usize::from(!equal);
                let verdict = if equal { "equal" } else { "DIFFERS" };
                let wrong = found.wrong.map(|text| format!("; {text}")).unwrap_or_default();
                format!("{verdict:8} {id:24} {:9.1e} in {} values{wrong}", found.largest, found.num_values)
            }
            Err(error) => {
                self.failed += 1;
                format!("FAILED   {id:24} {error}")
            }
        };
        println!("{row}");
    }

    /// Prints the number of equal cases and returns the number of others.
    #[expect(clippy::print_stdout, reason = "the report of a program")]
    pub(super) fn finish(self) -> Result<usize, Box<dyn Error>> {
        let Self { only: _, compared, failed } = self;
        println!("{} of {compared} cases within {LIMIT:e} of each value", compared - failed);
        if compared == 0 { Err("no case has been compared".into()) } else { Ok(failed) }
    }
}

impl Differences {
    /// Compares a value.
    pub(super) fn value(&mut self, what: &str, found: f64, expected: f64) {
        let difference = (found - expected).abs() / expected.abs().max(SMALLEST);
        self.num_values += 1;
        self.largest = self.largest.max(difference);
        if (difference.is_nan() || difference > LIMIT) && self.wrong.is_none() {
            self.wrong = Some(format!("{what} is {found} instead of {expected}"));
        }
    }

    /// Compares a list of values.
    pub(super) fn values(&mut self, what: &str, found: &[f64], expected: &[f64]) {
        if found.len() != expected.len() {
            self.wrong(format!("{what} has {} values instead of {}", found.len(), expected.len()));
        }
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            self.value(&format!("{what}[{index}]"), *found, *expected);
        }
    }

    /// Reports a difference of something other than numbers.
    pub(super) fn wrong(&mut self, text: String) {
        self.wrong.get_or_insert(text);
    }
}
