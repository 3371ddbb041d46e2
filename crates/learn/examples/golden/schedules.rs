//! Compares learning rates with those that MMEngine computes for the same list of schedules. `schedules/mmengine.rs` reads the schedules.

mod mmengine;

use crate::python_json::{read, without_remarks};
use mmengine::{DefaultEnd, Length};
use pipe_schemas::stages::evaluate::Figures;
use pipe_schemas::stages::train::{LrChain, Scheduler};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;

/// The largest accepted difference, relative to the expected rate.
const LIMIT: f64 = 1e-9;

/// Rates below this share of the largest one of a case are compared with this share: where MMEngine subtracts a rate from itself,
/// rounding decides what is left.
const SMALLEST: f64 = 1e-6;

/// The largest number of steps of a case, so that a wrong length is an error and does not run for ever.
const MAX_STEPS: usize = 20_000_000;

/// A case. `lrs` has the rate of each epoch, at its first step; `lrs_per_iteration` that of each step.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "id")]
    _id: Option<String>,
    lr: f64,
    epochs: usize,
    /// A list of schedules, or one.
    param_scheduler: Value,
    /// Number of steps of each epoch.
    #[serde(default = "one")]
    epoch_length: usize,
    /// The results of the validations, after each epoch.
    #[serde(default)]
    metrics_after_each_epoch: Vec<Metrics>,
    lrs: Option<Vec<f64>>,
    lrs_per_iteration: Option<Vec<f64>>,
}

/// The result of a validation: that of the metric which the schedules monitor, or of several by name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Metrics {
    Monitored(f64),
    Named(BTreeMap<String, f64>),
}

/// Compares all cases of the files, prints a row for each, and returns the number of cases that differ.
#[expect(clippy::print_stdout, reason = "the report of a program")]
pub(crate) fn compare(files: &[String], only: Option<&str>) -> Result<usize, Box<dyn Error>> {
    let (mut failed, mut compared) = (0, 0);
    for path in files {
        let cases: Vec<Value> = serde_json::from_value(read(path)?).map_err(|error| format!("{path}: {error}"))?;
        for (number, case) in (1..).zip(&cases) {
            let id = case["id"].as_str().map_or_else(|| number.to_string(), str::to_owned);
            if only.is_some_and(|only| only != id) {
                continue;
            }
            compared += 1;
            let types = types(&case["param_scheduler"]);
            let case = serde_json::from_value::<Case>(without_remarks(case.clone()));
            let row = match case.map_err(Into::into).and_then(|case| measure(&case)) {
                Ok(difference) => {
                    let equal = difference <= LIMIT;
                    failed += usize::from(!equal);
                    let verdict = if equal { "equal" } else { "DIFFERS" };
                    format!("{verdict:8} {id:4} {difference:9.1e}  {types}")
                }
                Err(error) => {
                    failed += 1;
                    format!("FAILED   {id:4} {:9}  {types}: {error}", "")
                }
            };
            println!("{row}");
        }
    }
    println!("{} of {compared} cases within {LIMIT:e} of each rate", compared - failed);
    if compared == 0 { Err("no case has been compared".into()) } else { Ok(failed) }
}

/// Returns the largest relative difference of the rates. Where a schedule has no `end`, MMEngine has two defaults, and the case does not say
/// which one it was computed with: the smaller difference counts.
fn measure(case: &Case) -> Result<f64, Box<dyn Error>> {
    let expected = case.expected()?;
    let difference = |default_end| {
        let schedulers = schedulers(case, default_end)?;
        Ok::<_, Box<dyn Error>>(largest_difference(&rates(case, &schedulers)?, expected))
    };
    let of_runner = difference(DefaultEnd::Training);
    if of_runner.as_ref().is_ok_and(|found| *found <= LIMIT) || !mmengine::lacks_end(&case.param_scheduler) {
        return of_runner;
    }
    // Either may be impossible, as a schedule that begins after training.
    match (of_runner, difference(DefaultEnd::Never)) {
        (Ok(one), Ok(other)) => Ok(if other < one { other } else { one }),
        (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
        (Err(error), Err(_)) => Err(error),
    }
}

fn largest_difference(found: &[f64], expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(f64::MIN_POSITIVE, |largest, rate| largest.max(rate.abs()));
    let difference =
        |(found, expected): (&f64, &f64)| (found - expected).abs() / expected.abs().max(SMALLEST * largest);
    // `f64::max` would drop NaN.
    let worse = |worst: f64, next: f64| if next.is_nan() || next > worst { next } else { worst };
    found.iter().zip(expected).map(difference).fold(0.0, worse)
}

impl Case {
    /// Returns the expected rates, whose number is that of the case's epochs or steps.
    fn expected(&self) -> Result<&[f64], Box<dyn Error>> {
        let num_steps = self.epochs.checked_mul(self.epoch_length).filter(|steps| *steps <= MAX_STEPS);
        let num_steps = num_steps.ok_or_else(|| format!("the case has more than {MAX_STEPS} steps"))?;
        let (expected, num_rates) = match (&self.lrs, &self.lrs_per_iteration) {
            // An epoch without steps has no rate.
            (Some(lrs), None) => (lrs, if num_steps == 0 { 0 } else { self.epochs }),
            (None, Some(lrs)) => (lrs, num_steps),
            _ => return Err("the case needs one of `lrs` and `lrs_per_iteration`".into()),
        };
        if expected.len() == num_rates {
            return Ok(expected);
        }
        let expected = expected.len();
        Err(format!("the case has {expected} rates, but {num_rates} follow from `epochs` and `epoch_length`").into())
    }

    fn length(&self) -> Length {
        Length { epochs: self.epochs, steps: self.epochs * self.epoch_length }
    }
}

/// Returns the schedules, which are checked as those of a pipeline, except for values that MMEngine computes and `train` refuses.
fn schedulers(case: &Case, default_end: DefaultEnd) -> Result<Vec<Scheduler>, Box<dyn Error>> {
    let list = match &case.param_scheduler {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let parse = |schedule: Value| serde_json::from_value(mmengine::schedule(schedule, case.length(), default_end));
    let schedulers = list.into_iter().map(parse).collect::<Result<Vec<Scheduler>, _>>()?;
    let Length { epochs, steps } = case.length();
    let errors = schedulers.iter().enumerate().flat_map(|(position, scheduler)| {
        let of_length = scheduler.check_length(position, case.epoch_length, epochs, steps);
        scheduler.check(position).into_iter().chain(of_length)
    });
    let errors = errors.filter(|error| !mmengine::is_computed(error));
    let errors: Vec<String> = errors.map(|error| format!("{}: {}", error.path.join("."), error.message)).collect();
    if errors.is_empty() { Ok(schedulers) } else { Err(errors.join("; ").into()) }
}

/// Returns the rates that are compared: that of each epoch, at its first step, or that of each step.
fn rates(case: &Case, schedulers: &[Scheduler]) -> Result<Vec<f64>, Box<dyn Error>> {
    let monitored: Vec<&str> = schedulers.iter().filter_map(|one| Some(one.monitor()?.metric)).collect();
    let num_validations = case.metrics_after_each_epoch.len();
    if !monitored.is_empty() && num_validations < case.epochs {
        return Err(
            format!("`metrics_after_each_epoch` has {num_validations} values for {} epochs", case.epochs).into()
        );
    }
    let mut chain = LrChain::new(case.lr, schedulers, case.epoch_length);
    let mut rates = Vec::new();
    for epoch in 0..case.epochs {
        let of_epoch = chain.next_epoch(case.epoch_length);
        rates.extend_from_slice(if case.lrs.is_some() { &of_epoch[..of_epoch.len().min(1)] } else { &of_epoch });
        let values = match case.metrics_after_each_epoch.get(epoch) {
            None => continue,
            Some(Metrics::Monitored(value)) => monitored.iter().map(|name| ((*name).to_owned(), *value)).collect(),
            Some(Metrics::Named(values)) => values.clone().into_iter().collect(),
        };
        chain.validated(&Figures { values, num_videos: 0 });
    }
    Ok(rates)
}

/// Returns the types of schedules.
fn types(param_scheduler: &Value) -> String {
    let name = |schedule: &Value| schedule["type"].as_str().unwrap_or("?").to_owned();
    match param_scheduler {
        Value::Array(list) => list.iter().map(name).collect::<Vec<_>>().join(" + "),
        one => name(one),
    }
}

fn one() -> usize {
    1
}
