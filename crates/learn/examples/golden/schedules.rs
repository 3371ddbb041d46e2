//! Compares learning rates with those that MMEngine computes for the same list of schedules.

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
        let text = fs_err::read_to_string(path)?;
        let cases: Vec<Value> = serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
        for (number, case) in (1..).zip(&cases) {
            let id = case["id"].as_str().map_or_else(|| number.to_string(), str::to_owned);
            if only.is_some_and(|only| only != id) {
                continue;
            }
            compared += 1;
            let (types, measured) = (types(&case["param_scheduler"]), Case::deserialize(case));
            let row = match measured.map_err(Into::into).and_then(|case| measure(&case)) {
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

/// Returns the largest relative difference of the rates.
fn measure(case: &Case) -> Result<f64, Box<dyn Error>> {
    let schedulers = schedulers(case)?;
    let epochs = rates(case, &schedulers)?;
    let (found, expected): (Vec<f64>, _) = match (&case.lrs, &case.lrs_per_iteration) {
        (Some(lrs), None) => (epochs.iter().filter_map(|rates| rates.first().copied()).collect(), lrs),
        (None, Some(lrs)) => (epochs.concat(), lrs),
        _ => return Err("the case needs one of `lrs` and `lrs_per_iteration`".into()),
    };
    if found.len() != expected.len() {
        let (found, expected) = (found.len(), expected.len());
        return Err(
            format!("the case has {expected} rates, but {found} follow from `epochs` and `epoch_length`").into()
        );
    }
    let largest = expected.iter().fold(f64::MIN_POSITIVE, |largest, rate| largest.max(rate.abs()));
    let difference =
        |(found, expected): (&f64, &f64)| (found - expected).abs() / expected.abs().max(SMALLEST * largest);
    // `f64::max` would drop NaN.
    let worse = |worst: f64, next: f64| if next.is_nan() || next > worst { next } else { worst };
    Ok(found.iter().zip(expected).map(difference).fold(0.0, worse))
}

/// Returns the schedules, which are checked as those of a pipeline.
fn schedulers(case: &Case) -> Result<Vec<Scheduler>, Box<dyn Error>> {
    let list = match &case.param_scheduler {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let parse = |mut schedule: Value| {
        remove_defaults(&mut schedule);
        serde_json::from_value(schedule)
    };
    let schedulers = list.into_iter().map(parse).collect::<Result<Vec<Scheduler>, _>>()?;
    let (steps, epochs) = (case.epoch_length, case.epochs);
    let errors = schedulers.iter().enumerate().flat_map(|(position, scheduler)| {
        let of_length = scheduler.check_length(position, steps, epochs, epochs * steps);
        scheduler.check(position).into_iter().chain(of_length)
    });
    let errors: Vec<String> = errors.map(|error| format!("{}: {}", error.path.join("."), error.message)).collect();
    if errors.is_empty() { Ok(schedulers) } else { Err(errors.join("; ").into()) }
}

/// Removes parameters of MMEngine that are not ours, where they have their defaults.
fn remove_defaults(schedule: &mut Value) {
    let is_plateau = schedule["type"] == "ReduceOnPlateauLR";
    let Some(params) = schedule.as_object_mut() else { return };
    params.retain(|name, value| match name.as_str() {
        "verbose" => *value != false,
        "last_step" => *value != -1,
        "by_epoch" if is_plateau => *value != true,
        "convert_to_iter_based" if is_plateau => *value != false,
        _ => true,
    });
}

/// Returns the rates of each epoch.
fn rates(case: &Case, schedulers: &[Scheduler]) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let monitored: Vec<&str> = schedulers.iter().filter_map(|one| Some(one.monitor()?.metric)).collect();
    let num_validations = case.metrics_after_each_epoch.len();
    if !monitored.is_empty() && num_validations < case.epochs {
        return Err(
            format!("`metrics_after_each_epoch` has {num_validations} values for {} epochs", case.epochs).into()
        );
    }
    let mut chain = LrChain::new(case.lr, schedulers, case.epoch_length);
    let mut rates = Vec::with_capacity(case.epochs);
    for epoch in 0..case.epochs {
        rates.push(chain.next_epoch(case.epoch_length));
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
