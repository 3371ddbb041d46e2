//! `evaluate`: a trained network on the test samples.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, Params, PortType, Tolerance, Tool, Worker, parse, schema,
};
use crate::tables::MissingCounts;
use schemars::JsonSchema;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// Contract of `evaluate`.
pub const CONTRACT: Contract = Contract {
    kind: "evaluate",
    version: 6,
    summary: "runs the network on every test view and writes predictions and metrics",
    worker: Some(Worker::Torch),
    open_ports: false,
    inputs: &[
        InputPort { name: "model", port_type: PortType::Model, required: true, or_param: None },
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "metrics", port_type: PortType::Metrics, path: "metrics.json" },
        OutputPort { name: "predictions", port_type: PortType::Predictions, path: "predictions.parquet" },
    ],
    parts: None,
    numerics: Numerics::FloatingPoint(Tolerance { relative: 0.05, absolute: 0.02 }),
    check: Check::Never,
    tools: &[Tool::Libtorch, Tool::LibjpegTurbo],
    schema: schema::<EvaluateParams>,
    parse: parse::<EvaluateParams>,
};

/// Parameters of `evaluate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateParams {
    /// Number of views per forward pass. It affects speed and memory, and the rounding of results. Default: 32.
    #[schemars(range(min = 1, max = 4096))]
    pub batch_size: u32,
}

impl Default for EvaluateParams {
    fn default() -> Self {
        Self { batch_size: 32 }
    }
}

impl Params for EvaluateParams {}

/// The content of `metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// The value of each metric that is defined for the labels, and the number of videos.
    #[serde(flatten)]
    pub figures: Figures,
    /// Number of videos of the test list; segments count as videos. It is `num_videos` + `num_missing`.
    pub num_listed: u64,
    /// Number of those that were not evaluated, because they have no samples. They are not counted as errors.
    pub num_missing: u64,
    /// Why they have no samples.
    pub missing: MissingCounts,
    /// Number of views evaluated.
    pub num_views: u64,
    /// Number of classes of the network.
    pub num_classes: u64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_keys_of_the_metrics() {
        let figures = Figures { values: vec![("top1".into(), 0.5), ("loss".into(), 1.25)], num_videos: 4 };
        let missing = MissingCounts { num_too_short: 1, ..MissingCounts::default() };
        let metrics = Metrics { figures, num_listed: 5, num_missing: 1, missing, num_views: 12, num_classes: 2 };
        let text = serde_json::to_string(&metrics).expect("JSON");
        let expect = r#"{"top1":0.5,"loss":1.25,"num_videos":4,"num_listed":5,"num_missing":1,"missing":{"num_absent":0,"num_not_in_shards":0,"num_without_frames":0,"num_too_short":1},"num_views":12,"num_classes":2}"#;
        assert_eq!(text, expect);
    }
}
