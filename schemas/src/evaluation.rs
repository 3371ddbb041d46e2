//! What evaluations have in common: the parameters of metrics and intervals, and the content of `metrics.json`. The stages `evaluate`, `fuse`
//! and `compare` use them.

use crate::ParamError;
use crate::tables::Labelling;
use schemars::JsonSchema;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;

/// A metric that can be chosen: by MMAction2's name where it has it, else by scikit-learn's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    /// The share of videos with their label among the `k` highest classes: `top1`, `top5`. One label per video.
    TopKAccuracy,
    /// The mean over classes of their accuracy, with classes that are only predicted as 0. One label per video.
    MeanClassAccuracy,
    /// The mean over the classes that have videos of their accuracy. One label per video.
    BalancedAccuracy,
    /// Precision, recall and F1 as means over classes; with several labels per video, F1 and the share of exact sets of labels.
    F1,
    /// Agreement beyond chance. One label per video.
    CohenKappa,
    /// Cross-entropy of the probabilities.
    Loss,
    /// Squared distance of the probabilities from the label. One label per video.
    Brier,
    /// The expected and the maximum calibration error: `ece`, `mce`. One label per video.
    Calibration,
    /// The mean over classes of their average precision. Several labels per video.
    MeanAveragePrecision,
    /// The mean over videos of the average precision of their labels. Several labels per video.
    MmitMeanAveragePrecision,
}

/// Options of metrics, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricOptions {
    /// Options of `top_k_accuracy`.
    pub top_k_accuracy: TopKOptions,
}

/// Options of `top_k_accuracy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TopKOptions {
    /// The values of `k`, each from 1 to 10. Default: [1, 5].
    pub topk: Vec<u32>,
}

impl Default for TopKOptions {
    fn default() -> Self {
        Self { topk: vec![1, 5] }
    }
}

/// Bootstrap intervals: how much the metrics would vary if the test list had other videos of the same kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bootstrap {
    /// Number of times that as many videos as there are, or groups of them, are drawn with replacement. 0 for no intervals. Default: 1000.
    #[schemars(range(min = 0, max = 100_000))]
    pub samples: u32,
    /// Share of the draws whose values lie in the interval. Default: 0.95.
    #[schemars(range(min = 0.5, max = 0.9999))]
    pub confidence: f64,
    /// Start of the random numbers. Default: 0.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { samples: 1000, confidence: 0.95, seed: 0 }
    }
}

/// What to do with videos that only some of several predictions have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// The stage fails, and names them.
    #[default]
    Fail,
    /// They are left out, counted and named.
    Drop,
}

/// Returns what is wrong with a choice of metrics.
pub(crate) fn check_metrics(list: &[MetricName], options: &MetricOptions) -> Vec<ParamError> {
    let mut errors = Vec::new();
    if let Some(at) = (1..list.len()).find(|at| list[..*at].contains(&list[*at])) {
        errors.push(ParamError {
            path: vec!["metric_list".into(), at.to_string()],
            message: "the metric is listed twice".into(),
            help: "remove it".into(),
        });
    }
    let topk = &options.top_k_accuracy.topk;
    for (at, k) in topk.iter().enumerate() {
        if !(1..=10).contains(k) || topk[..at].contains(k) {
            errors.push(ParamError {
                path: ["metric_options", "top_k_accuracy", "topk", &at.to_string()].map(str::to_owned).into(),
                message: format!("{k} is not a number from 1 to 10 that is listed once"),
                help: "topk: [1, 5]".into(),
            });
        }
    }
    errors
}

/// The content of `metrics.json`. `Missing` counts the reasons why videos were left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics<Missing> {
    /// The value of each metric that is defined for the labels, and the number of videos.
    #[serde(flatten)]
    pub figures: Figures,
    /// Number of videos of the test list; segments count as videos. It is `num_videos` + `num_missing`; absent if the list is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_listed: Option<u64>,
    /// Number of those that were not evaluated. They are not counted as errors.
    pub num_missing: u64,
    /// Why they were not evaluated.
    pub missing: Missing,
    /// Number of views evaluated.
    pub num_views: u64,
    /// Number of classes of the network.
    pub num_classes: u64,
    /// Number of videos with several classes of the highest probability; the first of them is the prediction.
    pub num_ties: u64,
    /// What each value is a mean over.
    pub denominators: BTreeMap<String, Denominator>,
    /// Bootstrap intervals of the values; absent with `samples: 0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// What is not computed, with the reason.
    pub not_computed: BTreeMap<String, String>,
}

/// What a value is a mean over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Denominator {
    /// Number of evaluated videos.
    pub num_videos: u64,
    /// Number of classes that the value is a mean over; absent if it is a mean over videos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_classes: Option<u64>,
}

/// Bootstrap intervals of metrics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intervals {
    /// How they are made: `percentile bootstrap`.
    pub method: &'static str,
    /// As the parameter says.
    pub samples: u32,
    /// As the parameter says.
    pub confidence: f64,
    /// As the parameter says.
    pub seed: u64,
    /// Intervals over videos.
    pub videos: UnitIntervals,
    /// Intervals over groups, if the groups of the videos are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<UnitIntervals>,
}

/// Intervals over one kind of unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct UnitIntervals {
    /// Number of units that were drawn from.
    pub num_units: u64,
    /// By the name of the metric.
    pub metrics: BTreeMap<String, MetricInterval>,
}

/// The interval of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MetricInterval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Number of draws for which the metric is defined.
    pub num_defined: u64,
}

/// The values of metrics, and the number of videos that each of them stands for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Values by name. `pipe-metrics` defines the metrics and their order.
    pub values: Vec<(String, f64)>,
    /// Number of videos that were evaluated; segments count as videos.
    pub num_videos: u64,
}

impl Figures {
    /// Returns the value of a metric; `None` if it is not defined for the labels.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// One flat object: the values, then `num_videos`.
impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.values {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("num_videos", &self.num_videos)?;
        map.end()
    }
}

impl MetricName {
    /// Returns whether the metric is defined for videos with these labels.
    pub fn is_defined_for(self, labelling: Labelling) -> bool {
        match self {
            Self::TopKAccuracy
            | Self::MeanClassAccuracy
            | Self::BalancedAccuracy
            | Self::CohenKappa
            | Self::Brier
            | Self::Calibration => labelling == Labelling::SingleLabel,
            Self::F1 | Self::Loss => true,
            Self::MeanAveragePrecision | Self::MmitMeanAveragePrecision => labelling == Labelling::MultiLabel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::MissingCounts;

    #[test]
    fn figures_are_keys_of_the_metrics() {
        let figures = Figures { values: vec![("top1".into(), 0.5), ("loss".into(), 1.25)], num_videos: 4 };
        let missing = MissingCounts { num_too_short: 1, ..MissingCounts::default() };
        let denominator = Denominator { num_videos: 4, num_classes: None };
        let metrics = Metrics {
            figures,
            num_listed: Some(5),
            num_missing: 1,
            missing,
            num_views: 12,
            num_classes: 2,
            num_ties: 0,
            denominators: BTreeMap::from([("top1".to_owned(), denominator)]),
            intervals: None,
            not_computed: BTreeMap::new(),
        };
        let text = serde_json::to_string(&metrics).expect("JSON");
        let expect = r#"{"top1":0.5,"loss":1.25,"num_videos":4,"num_listed":5,"num_missing":1,"missing":{"num_absent":0,"num_not_in_shards":0,"num_without_frames":0,"num_too_short":1},"num_views":12,"num_classes":2,"num_ties":0,"denominators":{"top1":{"num_videos":4}},"not_computed":{}}"#;
        assert_eq!(text, expect);
    }

    #[test]
    fn a_choice_of_metrics_is_checked() {
        let check = |list: &[MetricName], topk: &[u32], expect: &[&str]| {
            let options = MetricOptions { top_k_accuracy: TopKOptions { topk: topk.to_vec() } };
            let found: Vec<String> =
                check_metrics(list, &options).into_iter().map(|error| error.path.join(".")).collect();
            assert_eq!(found, expect);
        };
        check(&[MetricName::Loss, MetricName::F1], &[1, 3], &[]);
        check(&[MetricName::Loss, MetricName::Loss], &[1], &["metric_list.1"]);
        check(
            &[],
            &[0, 5, 5, 11],
            &[0, 2, 3].map(|at| format!("metric_options.top_k_accuracy.topk.{at}")).each_ref().map(String::as_str),
        );
    }
}
