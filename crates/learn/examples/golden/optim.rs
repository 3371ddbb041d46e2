//! Compares optimisers, accumulation of gradients, averages of weights and parameter groups, in float64.

mod groups;
mod report;
mod runs;

use crate::python_json::{is_remark, read, without_remarks};
use pipe_learn::TrainedTensor;
use pipe_schemas::stages::train::OptimWrapper;
use report::{Differences, Report};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::error::Error;

/// The lists of a file.
const SECTIONS: [&str; 4] = ["optimizers", "accumulation", "ema", "parameter_groups"];

/// The largest number of values of a problem, so that a wrong size is an error and does not fill the memory.
const MAX_VALUES: usize = 10_000_000;

/// The tensors that optimisers change. A name that is not known is an error, because it could change what the values mean.
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
        let mut file: Map<String, Value> =
            serde_json::from_value(read(path)?).map_err(|error| format!("{path}: {error}"))?;
        let problem = Problem::read(file.remove("problem"));
        for section in SECTIONS {
            match file.remove(section) {
                None => {}
                Some(Value::Array(cases)) => {
                    for (position, case) in cases.into_iter().enumerate() {
                        report.case(&format!("{section}.{position}"), || measure(section, case, &problem));
                    }
                }
                Some(_) => report.case(section, || Err(format!("`{section}` is not a list of cases").into())),
            }
        }
        for name in file.keys().filter(|name| !is_remark(name)) {
            report.case(name, || Err("the key of the file is not known".into()));
        }
    }
    report.finish()
}

/// Computes and compares a case, which is parsed on its own, so that one with an error does not stop the others.
fn measure(section: &str, case: Value, problem: &Result<Problem, String>) -> Result<Differences, Box<dyn Error>> {
    let case = without_remarks(case);
    let problem = || problem.as_ref().map_err(String::clone);
    match section {
        "optimizers" => serde_json::from_value::<runs::OptimizerCase>(case)?.measure(problem()?),
        "accumulation" => runs::accumulation(serde_json::from_value(case)?, problem()?),
        "ema" => serde_json::from_value::<runs::EmaCase>(case)?.measure(),
        _ => serde_json::from_value::<groups::GroupsCase>(case)?.measure(),
    }
}

impl Problem {
    fn read(value: Option<Value>) -> Result<Self, String> {
        let value = value.ok_or("`problem` is missing")?;
        let problem: Self =
            serde_json::from_value(without_remarks(value)).map_err(|error| format!("`problem`: {error}"))?;
        let num_values = problem.tensors.values().try_fold(0_usize, |sum, shape| {
            let values = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))?;
            sum.checked_add(values)
        });
        match num_values {
            Some(..=MAX_VALUES) => Ok(problem),
            _ => Err(format!("the tensors of `problem` have more than {MAX_VALUES} values")),
        }
    }
}

/// Removes the keys that are in the name of no tensor. MMEngine ignores them, and recipes for several networks have such keys, as
/// MMAction2's for Swin with `absolute_pos_embed`. `train` reports them, because a misspelt key would be silent.
fn remove_unmatched_keys(wrapper: &mut OptimWrapper, tensors: &[TrainedTensor]) {
    if let Some(cfg) = &mut wrapper.paramwise_cfg {
        cfg.custom_keys.retain(|key, _| tensors.iter().any(|tensor| tensor.matches(key)));
    }
}
