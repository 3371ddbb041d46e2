//! [`slices`]: a metric of the videos that have something in common, such as their duration. [`Column`] says what each video has.

mod columns;
mod table;

pub use columns::{columns_of_frames, columns_of_labels, columns_of_videos};
pub use table::SliceTable;

use crate::{Choice, Evaluation};
use pipe_metrics::{Metric, OF_TRAINING, bootstrap};
use pipe_schemas::tables::{PredictionRow, SliceRow};
use std::collections::{BTreeMap, BTreeSet};

/// What videos are divided by.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, such as `duration`.
    pub name: String,
    /// For each prediction, the place of its value in the order of values, and the value; `None` if it is unknown.
    pub values: Vec<Option<(u32, String)>>,
}

/// What videos without a known value have.
const UNKNOWN: &str = "unknown";

/// Returns the first metric of training (`top1`, or `mean_average_precision` with several labels) for each value of each column. The numbers of
/// videos of a column sum to that of all videos.
pub(crate) fn slices(evaluation: &Evaluation<'_>, choice: &Choice<'_>) -> Vec<SliceRow> {
    let Some(metric) = OF_TRAINING.iter().find(|metric| metric.labelling == evaluation.labelling) else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for column in evaluation.columns {
        let mut parts: BTreeMap<(u32, &str), Vec<PredictionRow>> = BTreeMap::new();
        for (row, value) in evaluation.predictions.iter().zip(&column.values) {
            // A value that is called `unknown` is not another slice than the missing values.
            let known = value.as_ref().filter(|(_, value)| value != UNKNOWN);
            let part = known.map_or((u32::MAX, UNKNOWN), |(place, value)| (*place, value.as_str()));
            parts.entry(part).or_default().push(row.clone());
        }
        rows.extend(parts.iter().map(|((_, value), part)| slice(&column.name, value, part, *metric, choice)));
    }
    rows
}

fn slice(column: &str, value: &str, part: &[PredictionRow], metric: Metric, choice: &Choice<'_>) -> SliceRow {
    let units: Vec<Vec<usize>> = (0..part.len()).map(|at| vec![at]).collect();
    let settings = choice.bootstrap;
    let found = bootstrap(part, &[metric], &units, settings.samples, settings.confidence, settings.seed);
    let interval = found.into_iter().next().flatten();
    SliceRow {
        column: column.to_owned(),
        value: value.to_owned(),
        num_videos: part.len() as u64,
        num_classes: part.iter().flat_map(PredictionRow::class_indices).collect::<BTreeSet<u32>>().len() as u64,
        metric: metric.name.to_owned(),
        figure: metric.value(part),
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tests::{classes, rows};
    use pipe_schemas::evaluation::{Bootstrap, MetricOptions};
    use pipe_schemas::tables::Labelling;

    #[test]
    fn slices_are_in_the_order_of_values_and_sum_to_all_videos() {
        let (predictions, classes) = (rows().0, classes(2));
        let values = (0..8).map(|at| match at {
            0..3 => Some((2, "long".to_owned())),
            6 => Some((0, UNKNOWN.to_owned())),
            7 => None,
            _ => Some((1, "short".to_owned())),
        });
        let column = Column { name: "duration".to_owned(), values: values.collect() };
        let evaluation = Evaluation {
            predictions: &predictions,
            classes: &classes,
            labelling: Labelling::SingleLabel,
            groups: Err("no groups"),
            columns: &[column],
        };
        let (options, bootstrap) = (MetricOptions::default(), Bootstrap { samples: 20, ..Bootstrap::default() });
        let choice = Choice { metric_list: &[], metric_options: &options, bootstrap: &bootstrap };
        let found = slices(&evaluation, &choice);
        let texts: Vec<String> =
            found.iter().map(|row| format!("{} {} {} {}", row.value, row.num_videos, row.metric, row.figure)).collect();
        assert_eq!(texts, ["short 3 top1 1", "long 3 top1 1", "unknown 2 top1 0.5"]);
        assert_eq!(found.iter().map(|row| row.num_videos).sum::<u64>(), 8);
        assert_eq!((found[0].low, found[2].high), (Some(1.0), Some(1.0)));
    }
}
