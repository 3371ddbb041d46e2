//! [`measure`]: the values of metrics, what they are means over, and their bootstrap intervals.

use crate::{Choice, Evaluation, EvaluationError};
use pipe_metrics::{Metric, bootstrap};
use pipe_schemas::evaluation::{Denominator, Figures, Intervals, MetricInterval, Metrics, UnitIntervals};
use pipe_schemas::tables::{Labelling, PredictionRow};
use std::collections::BTreeMap;

/// The values of metrics, with what is needed to judge them.
#[derive(Debug)]
pub struct Measured {
    /// The values.
    pub figures: Figures,
    /// What each is a mean over.
    pub denominators: BTreeMap<String, Denominator>,
    /// Their intervals; `None` if none are asked for.
    pub intervals: Option<Intervals>,
    /// What is not computed, with the reason.
    pub not_computed: BTreeMap<String, String>,
    /// Number of videos with several classes of the highest probability.
    pub num_ties: u64,
    num_views: u64,
    num_classes: u64,
}

impl Measured {
    /// Returns the content of `metrics.json`. `num_missing` videos were left out, for the reasons `missing`; `num_listed` is the number of
    /// videos of the test list, if it is known.
    pub fn metrics<Missing>(&self, num_listed: Option<u64>, num_missing: u64, missing: Missing) -> Metrics<Missing> {
        Metrics {
            num_listed,
            num_missing,
            missing,
            figures: self.figures.clone(),
            num_views: self.num_views,
            num_classes: self.num_classes,
            num_ties: self.num_ties,
            denominators: self.denominators.clone(),
            intervals: self.intervals.clone(),
            not_computed: self.not_computed.clone(),
        }
    }

    /// Returns what a summary says, such as `top1 0.85 (0.76 to 0.92), top5 0.97 (0.92 to 1.00)`: the first two metrics.
    pub fn line(&self) -> String {
        let interval = |name: &str| {
            let found = self.intervals.as_ref()?.videos.metrics.get(name)?;
            Some(format!(" ({:.2} to {:.2})", found.low, found.high))
        };
        let text = |(name, value): &(String, f64)| format!("{name} {value:.2}{}", interval(name).unwrap_or_default());
        self.figures.values.iter().take(2).map(text).collect::<Vec<_>>().join(", ")
    }
}

/// Computes the chosen metrics.
///
/// # Errors
/// [`EvaluationError::Undefined`] if a chosen metric is not defined for the labels.
pub fn measure(evaluation: &Evaluation<'_>, choice: &Choice<'_>) -> Result<Measured, EvaluationError> {
    let Evaluation { predictions, classes, labelling, .. } = *evaluation;
    let mut metrics = choice.metrics(labelling)?;
    let mut not_computed = BTreeMap::new();
    let mut values: Vec<(String, f64)> = Vec::new();
    metrics.retain(|metric| {
        let value = metric.value(predictions);
        if value.is_nan() {
            not_computed.insert(metric.name.to_owned(), "not defined for these labels and predictions".to_owned());
        } else {
            values.push((metric.name.to_owned(), value));
        }
        !value.is_nan()
    });
    if labelling == Labelling::MultiLabel {
        for name in ["confusion", "calibration"] {
            not_computed.insert(name.to_owned(), "not defined for videos with several labels".to_owned());
        }
    }
    let num_videos = predictions.len() as u64;
    let denominator = |metric: &Metric| {
        let num_classes = metric.num_classes(predictions).map(|count| count as u64);
        (metric.name.to_owned(), Denominator { num_videos, num_classes })
    };
    Ok(Measured {
        figures: Figures { values, num_videos },
        denominators: metrics.iter().map(denominator).collect(),
        intervals: intervals(evaluation, choice, &metrics, &mut not_computed),
        not_computed,
        num_ties: predictions.iter().filter(|row| has_tie(row)).count() as u64,
        num_views: predictions.iter().map(|row| u64::from(row.num_views)).sum(),
        num_classes: classes.len() as u64,
    })
}

/// Returns the intervals over videos and over groups.
fn intervals(
    evaluation: &Evaluation<'_>,
    choice: &Choice<'_>,
    metrics: &[Metric],
    not_computed: &mut BTreeMap<String, String>,
) -> Option<Intervals> {
    let settings = choice.bootstrap;
    if settings.samples == 0 {
        not_computed.insert("intervals".to_owned(), "`bootstrap.samples` is 0".to_owned());
        return None;
    }
    let (with, without): (Vec<Metric>, Vec<Metric>) = metrics.iter().partition(|metric| metric.has_interval());
    for metric in without {
        let reason = "drawing with replacement shifts it";
        not_computed.insert(format!("interval of {}", metric.name), reason.to_owned());
    }
    let over = |units: &[Vec<usize>]| {
        let found =
            bootstrap(evaluation.predictions, &with, units, settings.samples, settings.confidence, settings.seed);
        let entry = |(metric, found): (&Metric, Option<pipe_metrics::Interval>)| {
            let found = found?;
            let interval = MetricInterval { low: found.low, high: found.high, num_defined: found.num_defined };
            Some((metric.name.to_owned(), interval))
        };
        UnitIntervals { num_units: units.len() as u64, metrics: with.iter().zip(found).filter_map(entry).collect() }
    };
    let groups = match evaluation.groups_as_units() {
        Ok(units) => Some(over(&units)),
        Err(reason) => {
            not_computed.insert("intervals over groups".to_owned(), reason.to_owned());
            None
        }
    };
    Some(Intervals {
        method: "percentile bootstrap",
        samples: settings.samples,
        confidence: settings.confidence,
        seed: settings.seed,
        videos: over(&evaluation.rows_as_units()),
        groups,
    })
}

/// Returns whether several classes have the highest probability.
fn has_tie(row: &PredictionRow) -> bool {
    let Some(highest) = row.probabilities.get(row.predicted_index as usize) else { return false };
    row.probabilities.iter().filter(|probability| probability.total_cmp(highest).is_eq()).count() > 1
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use pipe_schemas::evaluation::{Bootstrap, MetricOptions};

    /// A prediction for one view of the video `video_id`.
    pub(crate) fn row(video_id: &str, class_index: u32, probabilities: &[f32]) -> PredictionRow {
        let predicted_index = pipe_metrics::argmax(probabilities) as u32;
        PredictionRow {
            video_id: video_id.to_owned(),
            class_index,
            class_names: vec![format!("c{class_index}")],
            predicted_index,
            predicted_name: format!("c{predicted_index}"),
            num_views: 1,
            logits: probabilities.iter().map(|probability| probability.max(1e-6).ln()).collect(),
            probabilities: probabilities.to_vec(),
            ..PredictionRow::default()
        }
    }

    pub(crate) fn classes(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("c{class}")).collect()
    }

    /// Eight videos in four groups; of classes 0 and 1, and the last is wrong.
    pub(crate) fn rows() -> (Vec<PredictionRow>, BTreeMap<String, String>) {
        let rows = (0..8)
            .map(|at| row(&format!("v{at}"), at % 2, if at % 2 == 0 || at == 7 { &[0.8, 0.2] } else { &[0.3, 0.7] }));
        let groups = (0..8).map(|at| (format!("v{at}"), format!("g{}", at / 2))).collect();
        (rows.collect(), groups)
    }

    fn measured(labelling: Labelling, bootstrap: &Bootstrap, with_groups: bool) -> Measured {
        let ((predictions, groups), classes, options) = (rows(), classes(2), MetricOptions::default());
        let evaluation = Evaluation {
            predictions: &predictions,
            classes: &classes,
            labelling,
            groups: if with_groups { Ok(&groups) } else { Err("no labels") },
            columns: &[],
        };
        let choice = Choice { metric_list: &[], metric_options: &options, bootstrap };
        measure(&evaluation, &choice).expect("measured")
    }

    #[test]
    fn every_figure_has_a_denominator_and_an_interval_or_a_reason() {
        let found = measured(Labelling::SingleLabel, &Bootstrap { samples: 200, ..Bootstrap::default() }, true);
        let intervals = found.intervals.as_ref().expect("intervals");
        let groups = intervals.groups.as_ref().expect("groups");
        assert_eq!((intervals.videos.num_units, groups.num_units), (8, 4));
        for (name, value) in &found.figures.values {
            assert_eq!(found.denominators[name].num_videos, 8);
            let reason = found.not_computed.contains_key(&format!("interval of {name}"));
            for unit in [&intervals.videos, groups] {
                match unit.metrics.get(name) {
                    Some(interval) => assert!(interval.low <= *value && *value <= interval.high, "{name} {interval:?}"),
                    None => assert!(reason, "{name}"),
                }
            }
        }
        assert_eq!(found.denominators["mean_class_accuracy"].num_classes, Some(2));
        assert_eq!(found.line(), "top1 0.88 (0.62 to 1.00), top5 1.00 (1.00 to 1.00)");
    }

    #[test]
    fn what_is_not_computed_has_a_reason() {
        let none = measured(Labelling::SingleLabel, &Bootstrap { samples: 0, ..Bootstrap::default() }, false);
        assert!(none.intervals.is_none() && none.not_computed.contains_key("intervals"));
        let several = measured(Labelling::MultiLabel, &Bootstrap { samples: 10, ..Bootstrap::default() }, false);
        assert!(several.not_computed.contains_key("confusion") && several.not_computed.contains_key("calibration"));
        assert_eq!(several.not_computed["intervals over groups"], "no labels");
        assert!(several.figures.get("mean_average_precision").is_some() && several.figures.get("top1").is_none());
    }

    #[test]
    fn videos_with_several_highest_classes_are_counted() {
        let tie = [row("a", 0, &[0.5, 0.5]), row("b", 0, &[0.6, 0.4])];
        assert_eq!(tie.iter().filter(|row| has_tie(row)).count(), 1);
    }
}
