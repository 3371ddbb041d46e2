//! Metrics that training watches: whether they exist, and whether they end training early.

use crate::TrainError;
use crate::samples::Samples;
use pipe_metrics::Metric;
use pipe_schemas::stages::train::{EarlyStopping, Scheduler, TrainParams};
use pipe_schemas::tables::{Labelling, TrainingLogRow};
use pipe_schemas::{Monitor, Rule};
use std::collections::BTreeSet;

/// Checks that each watched metric is computed, and that better values are what the parameters take them for.
pub(crate) fn check_monitors(params: &TrainParams, samples: &Samples) -> Result<(), TrainError> {
    let of_schedules = params.param_scheduler.iter().filter_map(Scheduler::monitor);
    let of_stopping = params.early_stopping.iter().map(|stopping| stopping.monitor());
    for Monitor { metric, rule } in of_schedules.chain(of_stopping) {
        let natural = rule_of(metric, samples.preprocessing.labelling)?;
        if rule.is_some_and(|rule| rule != natural) {
            return Err(TrainError::OppositeRule { metric: metric.to_owned(), rule: natural });
        }
        if params.train_cfg.val_interval == 0 || samples.num_test_views == 0 {
            return Err(TrainError::NoValidation { metric: metric.to_owned() });
        }
    }
    Ok(())
}

/// Returns whether training ends after the epochs of `log`.
pub(crate) fn ends_early(params: &TrainParams, samples: &Samples, log: &[TrainingLogRow]) -> bool {
    let Some(stopping) = &params.early_stopping else { return false };
    let Ok(rule) = rule_of(&stopping.monitor, samples.preprocessing.labelling) else { return false };
    let figures = log.iter().filter_map(|row| row.validation.as_ref());
    let history: Vec<f64> = figures.filter_map(|figures| figures.get(&stopping.monitor)).collect();
    stopping.ends_after(rule, &history)
}

/// Returns the number of epochs of `log` after which training ends.
pub(crate) fn num_used(params: &TrainParams, samples: &Samples, log: &[TrainingLogRow]) -> usize {
    (1..log.len()).find(|num_epochs| ends_early(params, samples, &log[..*num_epochs])).unwrap_or(log.len())
}

/// Returns the epochs of `log`, from 0, after which a smaller patience would have ended training: at most one for each patience.
pub(crate) fn ends_of_smaller_patience(
    params: &TrainParams,
    samples: &Samples,
    log: &[TrainingLogRow],
) -> BTreeSet<u32> {
    let Some(stopping) = &params.early_stopping else { return BTreeSet::new() };
    // A longer wait than the log has epochs never ends training.
    let smaller = 1..stopping.patience.min(log.len() as u32);
    let last_epoch = |patience| {
        let early_stopping = Some(EarlyStopping { patience, ..stopping.clone() });
        num_used(&TrainParams { early_stopping, ..params.clone() }, samples, log) as u32 - 1
    };
    smaller.map(last_epoch).collect()
}

fn rule_of(metric: &str, labelling: Labelling) -> Result<Rule, TrainError> {
    let known = || pipe_metrics::ALL.iter().filter(|known: &&Metric| known.labelling == labelling);
    known().find(|known| known.name == metric).map(|known| known.rule).ok_or_else(|| TrainError::UnknownMetric {
        metric: metric.to_owned(),
        known: known().map(|known| known.name).collect::<Vec<_>>().join(", "),
    })
}
