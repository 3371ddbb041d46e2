//! [`Choice`]: which metrics are computed.

use crate::EvaluationError;
use pipe_metrics::{Metric, OF_EVALUATIONS, OF_TRAINING, top_k_metric};
use pipe_schemas::evaluation::{Bootstrap, MetricName, MetricOptions};
use pipe_schemas::tables::Labelling;

/// Which metrics are computed, and how their intervals are drawn: parameters of a stage.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// The metrics; empty for all that are defined.
    pub metric_list: &'a [MetricName],
    /// Their options.
    pub metric_options: &'a MetricOptions,
    /// Intervals.
    pub bootstrap: &'a Bootstrap,
}

impl Choice<'_> {
    /// Returns the metrics for videos with these labels, in the order in which they are written.
    ///
    /// # Errors
    /// [`EvaluationError::Undefined`] if one is asked for that is not defined for them.
    pub fn metrics(&self, labelling: Labelling) -> Result<Vec<Metric>, EvaluationError> {
        if let Some(metric) = self.metric_list.iter().copied().find(|name| !name.is_defined_for(labelling)) {
            return Err(EvaluationError::Undefined { metric, labelling });
        }
        let is_chosen = |metric: &Metric| {
            metric.labelling == labelling && (self.metric_list.is_empty() || self.metric_list.contains(&metric.group))
        };
        let of_top_k = self.metric_options.top_k_accuracy.topk.iter().filter_map(|k| top_k_metric(*k));
        let others =
            OF_TRAINING.iter().chain(OF_EVALUATIONS).copied().filter(|metric| metric.group != MetricName::TopKAccuracy);
        Ok(of_top_k.chain(others).filter(is_chosen).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::evaluation::TopKOptions;

    fn names(list: &[MetricName], topk: &[u32], labelling: Labelling) -> Result<Vec<&'static str>, String> {
        let options = MetricOptions { top_k_accuracy: TopKOptions { topk: topk.to_vec() } };
        let bootstrap = Bootstrap::default();
        let choice = Choice { metric_list: list, metric_options: &options, bootstrap: &bootstrap };
        let metrics = choice.metrics(labelling).map_err(|error| error.to_string())?;
        Ok(metrics.into_iter().map(|metric| metric.name).collect())
    }

    #[test]
    fn the_first_figures_are_those_of_training() {
        let all = names(&[], &[1, 5], Labelling::SingleLabel).expect("defined");
        let expect = ["top1", "top5", "mean_class_accuracy", "loss", "balanced_accuracy"];
        assert_eq!(all[..5], expect, "{all:?}");
        let several = names(&[], &[1, 5], Labelling::MultiLabel).expect("defined");
        assert_eq!(several[..3], ["mean_average_precision", "loss", "mmit_mean_average_precision"]);
    }

    #[test]
    fn a_choice_has_what_was_asked_for() {
        let list = [MetricName::Calibration, MetricName::TopKAccuracy];
        assert_eq!(names(&list, &[3], Labelling::SingleLabel).expect("defined"), ["top3", "ece", "mce"]);
        let error = names(&list, &[3], Labelling::MultiLabel).expect_err("not defined");
        assert_eq!(error, "`metric_list` has `calibration`, which is not defined for videos with several labels");
    }
}
