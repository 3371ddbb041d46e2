//! Compares optimisers, accumulation of gradients, averages of weights and parameter groups, in float64.

mod groups;
mod report;
mod runs;

use report::Report;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::error::Error;

/// A file. A name that is not known is an error, because it could change what the values mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    problem: Option<Problem>,
    #[serde(default)]
    optimizers: Vec<runs::OptimizerCase>,
    #[serde(default)]
    accumulation: Vec<Map<String, Value>>,
    #[serde(default)]
    ema: Vec<runs::EmaCase>,
    #[serde(default)]
    parameter_groups: Vec<groups::GroupsCase>,
}

/// The tensors that optimisers change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Problem {
    tensors: BTreeMap<String, Vec<usize>>,
    /// The formula of the first values, for people.
    #[serde(rename = "initial")]
    _initial: Option<String>,
    /// The formula of gradients, for people.
    #[serde(rename = "gradient")]
    _gradient: Option<String>,
}

/// Compares all cases of the files, prints a row for each, and returns the number of cases that differ.
pub(crate) fn compare(files: &[String], only: Option<&str>) -> Result<usize, Box<dyn Error>> {
    pipe_learn::pin_threads();
    let mut report = Report::new(only);
    for path in files {
        // Python writes infinity without quotes.
        let text = fs_err::read_to_string(path)?.replace(": Infinity", ": \"inf\"");
        let file: File = serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
        let problem = || file.problem.as_ref().ok_or_else(|| format!("{path}: `problem` is missing"));
        for (position, case) in file.optimizers.iter().enumerate() {
            report.case(&format!("optimizers.{position}"), || case.measure(problem()?));
        }
        for (position, case) in file.accumulation.iter().enumerate() {
            report.case(&format!("accumulation.{position}"), || runs::accumulation(case, problem()?));
        }
        for (position, case) in file.ema.iter().enumerate() {
            report.case(&format!("ema.{position}"), || case.measure());
        }
        for (position, case) in file.parameter_groups.iter().enumerate() {
            report.case(&format!("parameter_groups.{position}"), || case.measure());
        }
    }
    report.finish()
}
