//! Metrics that training watches: whether they exist, whether they end training early, and which epoch is the best.

use crate::TrainError;
use crate::samples::Samples;
use pipe_metrics::Metric;
use pipe_schemas::stages::train::{EarlyStopping, Scheduler, TrainParams};
use pipe_schemas::tables::{Labelling, TrainingLogRow};
use pipe_schemas::{Monitor, Rule};
use std::collections::BTreeSet;

/// Checks that each watched metric is computed, and that better values are what the parameters take them for.
pub(crate) fn check_monitors(params: &TrainParams, samples: &Samples) -> Result<(), TrainError> {
    let auto = auto_metric(samples);
    let of_schedules = params.param_scheduler.iter().filter_map(Scheduler::monitor);
    let of_stopping = params.early_stopping.iter().map(|stopping| stopping.monitor());
    let monitored = of_schedules.chain(of_stopping).map(|monitor| ("monitor", monitor));
    let saved = params.checkpoint.monitor(auto).map(|monitor| ("save_best", monitor));
    for (param, Monitor { metric, rule }) in monitored.chain(saved) {
        let natural = rule_of(metric, samples.preprocessing.labelling)?;
        if rule.is_some_and(|rule| rule != natural) {
            return Err(TrainError::OppositeRule { param, metric: metric.to_owned(), rule: natural });
        }
        let is_validated = params.train_cfg.validates_at_the_end(samples.num_epochs());
        if !is_validated || samples.num_test_views == 0 {
            return Err(TrainError::NoValidation { param, metric: metric.to_owned() });
        }
    }
    Ok(())
}

/// Returns the epoch of `log` that `save_best` asks for.
pub(crate) fn best_epoch(
    params: &TrainParams,
    samples: &Samples,
    log: &[TrainingLogRow],
) -> Result<Option<BestEpoch>, TrainError> {
    let Some(Monitor { metric, .. }) = params.checkpoint.monitor(auto_metric(samples)) else { return Ok(None) };
    let rule = rule_of(metric, samples.preprocessing.labelling)?;
    match best(log, metric, rule) {
        Some((epoch, value)) => Ok(Some(BestEpoch { epoch, metric: metric.to_owned(), value })),
        None => Err(TrainError::NoBest { metric: metric.to_owned() }),
    }
}

/// The epoch that is the best by a metric.
pub(crate) struct BestEpoch {
    /// Counted from 0.
    pub(crate) epoch: u32,
    pub(crate) metric: String,
    pub(crate) value: f64,
}

/// Returns the epochs of `log` that are the best by some metric, if training ends with it or after one of the epochs `ends`.
pub(crate) fn best_of_any_metric(samples: &Samples, log: &[TrainingLogRow], ends: &BTreeSet<u32>) -> BTreeSet<u32> {
    let metrics = pipe_metrics::OF_TRAINING.iter().filter(|metric| metric.labelling == samples.preprocessing.labelling);
    let logs = || ends.iter().map(|end| &log[..=*end as usize]).chain([log]);
    metrics.flat_map(|metric| logs().filter_map(|log| Some(best(log, metric.name, metric.rule)?.0))).collect()
}

/// Returns the first epoch with the best value of a metric, and the value.
fn best(log: &[TrainingLogRow], metric: &str, rule: Rule) -> Option<(u32, f64)> {
    let values = log.iter().filter_map(|row| Some((row.epoch, row.validation.as_ref()?.get(metric)?)));
    values.filter(|(_, value)| !value.is_nan()).reduce(
        |best, next| {
            if rule.improves(next.1, best.1, 0.0) { next } else { best }
        },
    )
}

/// Returns the metric that `save_best: auto` stands for.
fn auto_metric(samples: &Samples) -> &'static str {
    let is_known = |metric: &&Metric| metric.labelling == samples.preprocessing.labelling;
    pipe_metrics::OF_TRAINING.iter().find(is_known).map_or("", |metric| metric.name)
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
    let known = || pipe_metrics::OF_TRAINING.iter().filter(|known: &&Metric| known.labelling == labelling);
    known().find(|known| known.name == metric).map(|known| known.rule).ok_or_else(|| TrainError::UnknownMetric {
        metric: metric.to_owned(),
        known: known().map(|known| known.name).collect::<Vec<_>>().join(", "),
    })
}
