//! `compare`: two networks on the same videos.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, ParamError, Params, PortType, Tolerance, Worker, parse, schema,
};
use crate::evaluation::{Bootstrap, MetricInterval, MetricName, MetricOptions, OnMissing, check_metrics};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Contract of `compare`.
pub const CONTRACT: Contract = Contract {
    kind: "compare",
    version: 2,
    summary: "compares the predictions of two networks on the same videos, with tests of the difference",
    worker: Some(Worker::Data),
    open_ports: None,
    inputs: &[
        InputPort { name: "a", port_type: PortType::Predictions, required: true, or_param: None },
        InputPort { name: "b", port_type: PortType::Predictions, required: true, or_param: None },
        InputPort { name: "labels", port_type: PortType::Annotations, required: false, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "metrics", port_type: PortType::Metrics, path: "metrics.json" },
        OutputPort { name: "report", port_type: PortType::Report, path: "report" },
    ],
    parts: None,
    numerics: Numerics::FloatingPoint(Tolerance { relative: 1e-6, absolute: 1e-6 }),
    check: Check::Never,
    tools: &[],
    schema: schema::<CompareParams>,
    parse: parse::<CompareParams>,
};

/// Parameters of `compare`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompareParams {
    /// What to do with videos that only one of the predictions has. Default: `fail`.
    pub on_missing: OnMissing,
    /// The metrics to compare. Default: all that are defined for the labels.
    pub metric_list: Vec<MetricName>,
    /// Options of metrics, by their names.
    pub metric_options: MetricOptions,
    /// Paired bootstrap intervals of the differences: over videos and, with the input `labels`, over groups of videos.
    pub bootstrap: Bootstrap,
}

impl Params for CompareParams {
    fn check(&self) -> Vec<ParamError> {
        check_metrics(&self.metric_list, &self.metric_options)
    }
}

/// The content of `metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Difference of the first metric, `b` less `a`.
    pub difference: f64,
    /// Name of the first metric.
    pub first_metric: String,
    /// Number of videos that both have; segments count as videos.
    pub num_videos: u64,
    /// `num_videos` + `num_missing`; absent if the test list is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_listed: Option<u64>,
    /// Number of videos that are left out: those that only one has and, if the list is known, listed ones that neither has.
    pub num_missing: u64,
    /// Number of those by reason: `num_not_in_b`, `num_in_no_input`.
    pub missing: BTreeMap<String, u64>,
    /// Number of videos on which only `b` is correct.
    pub num_fixed: u64,
    /// Number of videos on which only `a` is correct.
    pub num_broken: u64,
    /// Number of videos on which both are correct.
    pub num_both_correct: u64,
    /// Number of videos on which neither is correct.
    pub num_both_wrong: u64,
    /// Number of videos for which both predict the same class.
    pub num_same_prediction: u64,
    /// McNemar's test of whether both are correct equally often.
    pub mcnemar: McNemarTest,
    /// The metrics of both, by name.
    pub metrics: BTreeMap<String, MetricComparison>,
    /// How intervals are made; absent with `samples: 0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intervals: Option<PairedBootstrap>,
    /// What is not computed, with the reason.
    pub not_computed: BTreeMap<String, String>,
}

/// McNemar's test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemarTest {
    /// p-value of the exact test, two-sided and binomial.
    pub exact_p: f64,
    /// Statistic with Edwards' continuity correction.
    pub chi_squared: f64,
    /// p-value of the statistic, one degree of freedom.
    pub chi_squared_p: f64,
    /// Which p-value to read: `exact` below 25 videos with a difference, else `chi_squared`.
    pub recommended: &'static str,
}

/// A metric of two networks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MetricComparison {
    /// Of the first.
    pub a: f64,
    /// Of the second.
    pub b: f64,
    /// `b` less `a`.
    pub difference: f64,
    /// Whether more is better.
    pub greater_is_better: bool,
    /// Interval of the difference over videos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub videos: Option<MetricInterval>,
    /// Interval of the difference over groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<MetricInterval>,
}

/// How intervals of differences are made: each draw takes the same videos for both networks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedBootstrap {
    /// `paired percentile bootstrap`.
    pub method: &'static str,
    /// As the parameter says.
    pub samples: u32,
    /// As the parameter says.
    pub confidence: f64,
    /// As the parameter says.
    pub seed: u64,
    /// Number of videos that were drawn from.
    pub num_videos: u64,
    /// Number of groups that were drawn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_groups: Option<u64>,
}
