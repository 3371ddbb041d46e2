//! [`compare`]: two predictions of the same videos as numbers, and [`changes`] video by video.

use pipe_evaluation::LeftOut;
use pipe_evaluation::mistakes::{confidence, is_correct};
use pipe_metrics::{Estimator, Interval, McNemar, Metric, Resamples};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::{Bootstrap, MetricInterval};
use pipe_schemas::stages::compare::{Comparison, McNemarTest, MetricComparison, PairedBootstrap};
use pipe_schemas::tables::{Change, ComparisonRow, PredictionRow};
use std::collections::BTreeMap;

/// From this number of videos with a difference on, the chi-squared distribution is close to the exact one.
const ENOUGH_FOR_CHI_SQUARED: u64 = 25;

/// The predictions of two networks for the same videos, in the same order.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) a: &'a [PredictionRow],
    pub(crate) b: &'a [PredictionRow],
}

/// Computes the metrics of both networks and the tests of their difference. `groups` are the positions of the videos of each group, or why
/// they are not known. Without a metric, `None`.
pub(crate) fn compare(
    pair: Pair<'_>,
    metrics: &[Metric],
    bootstrap: &Bootstrap,
    groups: Result<Vec<Vec<usize>>, &'static str>,
    left_out: &LeftOut,
) -> Option<Comparison> {
    let mut not_computed = BTreeMap::new();
    if left_out.num_listed.is_none() {
        not_computed.insert("num_listed".to_owned(), LeftOut::NOT_LISTED.to_owned());
    }
    let values = |metric: &Metric| (metric.value(pair.a), metric.value(pair.b));
    let is_defined = |metric: &&Metric| {
        let (a, b) = values(metric);
        if a.is_nan() || b.is_nan() {
            not_computed.insert(metric.name.to_owned(), "not defined for these labels and predictions".to_owned());
        }
        !a.is_nan() && !b.is_nan()
    };
    let metrics: Vec<Metric> = metrics.iter().filter(is_defined).copied().collect();
    let videos: Vec<Vec<usize>> = (0..pair.a.len()).map(|at| vec![at]).collect();
    let (over_videos, over_groups) = if bootstrap.samples == 0 {
        not_computed.insert("intervals".to_owned(), "`bootstrap.samples` is 0".to_owned());
        (BTreeMap::new(), None)
    } else {
        if let Err(reason) = groups {
            not_computed.insert("intervals over groups".to_owned(), reason.to_owned());
        }
        let over_groups = groups.ok().map(|units| (units.len() as u64, differences(pair, &metrics, &units, bootstrap)));
        (differences(pair, &metrics, &videos, bootstrap), over_groups)
    };
    let entry = |metric: &Metric| {
        let ((a, b), name) = (values(metric), metric.name.to_owned());
        let comparison = MetricComparison {
            a,
            b,
            difference: b - a,
            greater_is_better: metric.rule == Rule::Greater,
            videos: over_videos.get(&name).copied(),
            groups: over_groups.as_ref().and_then(|(_, found)| found.get(&name)).copied(),
        };
        (name, comparison)
    };
    let by_name: BTreeMap<String, MetricComparison> = metrics.iter().map(entry).collect();
    let first = metrics.first()?.name;
    let of = |kind: fn(bool, bool) -> bool| {
        pair.a.iter().zip(pair.b).filter(|(a, b)| kind(is_correct(a), is_correct(b))).count() as u64
    };
    let same = pair.a.iter().zip(pair.b).filter(|(a, b)| a.predicted_index == b.predicted_index).count();
    Some(Comparison {
        difference: by_name[first].difference,
        first_metric: first.to_owned(),
        num_videos: pair.a.len() as u64,
        num_listed: left_out.num_listed,
        num_missing: left_out.num_missing,
        missing: left_out.missing.clone(),
        num_fixed: of(|a, b| !a && b),
        num_broken: of(|a, b| a && !b),
        num_both_correct: of(|a, b| a && b),
        num_both_wrong: of(|a, b| !a && !b),
        num_same_prediction: same as u64,
        mcnemar: mcnemar(pair),
        metrics: by_name,
        intervals: (bootstrap.samples > 0).then(|| PairedBootstrap {
            method: "paired percentile bootstrap",
            samples: bootstrap.samples,
            confidence: bootstrap.confidence,
            seed: bootstrap.seed,
            num_videos: videos.len() as u64,
            num_groups: over_groups.as_ref().map(|(count, _)| *count),
        }),
        not_computed,
    })
}

/// Returns the intervals of the differences: each draw takes the same units for both networks.
fn differences(
    pair: Pair<'_>,
    metrics: &[Metric],
    units: &[Vec<usize>],
    settings: &Bootstrap,
) -> BTreeMap<String, MetricInterval> {
    let metrics: Vec<Metric> = metrics.iter().copied().filter(Metric::has_interval).collect();
    let (a, b) = (Estimator::new(pair.a, &metrics), Estimator::new(pair.b, &metrics));
    let mut resamples = Resamples::new(units, settings.seed);
    let draw = |_| -> Vec<f64> {
        let positions = resamples.draw();
        b.values(&positions).iter().zip(a.values(&positions)).map(|(b, a)| b - a).collect()
    };
    let draws: Vec<Vec<f64>> = (0..settings.samples).map(draw).collect();
    let interval = |(at, metric): (usize, &Metric)| {
        let Interval { low, high, num_defined } = Interval::of(draws.iter().map(|draw| draw[at]), settings.confidence)?;
        Some((metric.name.to_owned(), MetricInterval { low, high, num_defined }))
    };
    metrics.iter().enumerate().filter_map(interval).collect()
}

fn mcnemar(pair: Pair<'_>) -> McNemarTest {
    let found = McNemar::of(pair.a.iter().zip(pair.b).map(|(a, b)| (is_correct(a), is_correct(b))));
    let enough = found.num_only_first + found.num_only_second >= ENOUGH_FOR_CHI_SQUARED;
    McNemarTest {
        exact_p: found.exact_p,
        chi_squared: found.chi_squared,
        chi_squared_p: found.chi_squared_p,
        recommended: if enough { "chi_squared" } else { "exact" },
    }
}

/// Returns what both networks predict for each video, and what changed.
pub(crate) fn changes(pair: Pair<'_>) -> Vec<ComparisonRow> {
    let row = |(a, b): (&PredictionRow, &PredictionRow)| ComparisonRow {
        video_id: a.video_id.clone(),
        start_secs: a.start_secs,
        end_secs: a.end_secs,
        class_names: a.class_names.clone(),
        predicted_a: a.predicted_name.clone(),
        predicted_b: b.predicted_name.clone(),
        probability_a: confidence(a),
        probability_b: confidence(b),
        change: match (is_correct(a), is_correct(b)) {
            _ if a.predicted_index == b.predicted_index => Change::Same,
            (false, true) => Change::Fixed,
            (true, false) => Change::Broken,
            (true, true) => Change::BothCorrect,
            (false, false) => Change::BothWrong,
        },
    };
    pair.a.iter().zip(pair.b).map(row).collect()
}
