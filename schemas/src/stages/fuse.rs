//! `fuse`: late fusion of the predictions of several networks.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, ParamError, Params, PortType, SourceSet, Tolerance,
    ValuesPerInput, Worker, parse, schema,
};
use crate::evaluation::{Bootstrap, MetricName, MetricOptions, OnMissing, check_metrics};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The inputs with predictions, in the order of the coefficients.
pub const INPUTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Contract of `fuse`.
pub const CONTRACT: Contract = Contract {
    kind: "fuse",
    version: 2,
    summary: "adds the predictions of several networks with weights, and evaluates the sum",
    worker: Some(Worker::Data),
    open_ports: None,
    inputs: &[
        InputPort { name: "a", port_type: PortType::Predictions, required: true, or_param: None },
        InputPort { name: "b", port_type: PortType::Predictions, required: true, or_param: None },
        InputPort { name: "c", port_type: PortType::Predictions, required: false, or_param: None },
        InputPort { name: "d", port_type: PortType::Predictions, required: false, or_param: None },
        InputPort { name: "e", port_type: PortType::Predictions, required: false, or_param: None },
        InputPort { name: "f", port_type: PortType::Predictions, required: false, or_param: None },
        InputPort { name: "classes", port_type: PortType::Classes, required: false, or_param: None },
        InputPort { name: "labels", port_type: PortType::Annotations, required: false, or_param: None },
        InputPort { name: "videos", port_type: PortType::Videos, required: false, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "predictions", port_type: PortType::Predictions, path: "predictions.parquet" },
        OutputPort { name: "metrics", port_type: PortType::Metrics, path: "metrics.json" },
        OutputPort { name: "report", port_type: PortType::Report, path: "report" },
    ],
    parts: None,
    numerics: Numerics::FloatingPoint(Tolerance { relative: 1e-6, absolute: 1e-6 }),
    check: Check::Never,
    tools: &[],
    schema: schema::<FuseParams>,
    parse: parse::<FuseParams>,
};

/// Parameters of `fuse`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FuseParams {
    /// The weight of the probabilities of each connected input, in the order `a`, `b`, …; as MMAction2's `--coefficients`. Default: 1 each.
    pub coefficients: Vec<f64>,
    /// What to do with videos that only some of the predictions have. Default: `fail`.
    pub on_missing: OnMissing,
    /// The metrics to compute. Default: all that are defined for the labels.
    pub metric_list: Vec<MetricName>,
    /// Options of metrics, by their names.
    pub metric_options: MetricOptions,
    /// Bootstrap intervals of the metrics: over videos and, with the input `labels`, over groups of videos.
    pub bootstrap: Bootstrap,
    /// A table of your own that divides the videos for `slices.parquet`: a CSV or TSV file with the column `video_id` first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slices: Option<String>,
}

impl Params for FuseParams {
    fn sources(&self) -> Vec<SourceSet> {
        self.slices.iter().map(|file| SourceSet::of_file("slices", file)).collect()
    }

    fn values_per_input(&self) -> Option<ValuesPerInput> {
        let num_values = self.coefficients.len();
        (num_values > 0).then_some(ValuesPerInput { param: "coefficients", num_values, ports: &INPUTS })
    }

    fn check(&self) -> Vec<ParamError> {
        let mut errors = check_metrics(&self.metric_list, &self.metric_options);
        errors.extend(check_coefficients(&self.coefficients).err().map(|message| ParamError {
            path: vec!["coefficients".into()],
            message,
            help: "coefficients: [1, 0.5]".into(),
        }));
        errors
    }
}

/// Checks the weights. The engine checks that there is one for each connected input.
fn check_coefficients(coefficients: &[f64]) -> Result<(), String> {
    let (count, most) = (coefficients.len(), INPUTS.len());
    if count == 0 {
        return Ok(());
    }
    if coefficients.iter().any(|weight| !weight.is_finite() || *weight < 0.0)
        || coefficients.iter().all(|weight| *weight == 0.0)
    {
        return Err("a weight is below 0, or all are 0".to_owned());
    }
    // The weighted sum of probabilities is divided by this sum, so that it must neither overflow nor lose bits.
    let sum: f64 = coefficients.iter().sum();
    if !sum.is_normal() {
        return Err(format!("the sum of the weights is too {}", if sum > 1.0 { "large" } else { "small" }));
    }
    if !(2..=most).contains(&count) {
        let plural = if count == 1 { "" } else { "s" };
        return Err(format!("{count} weight{plural}, but there are 2 to {most} inputs with predictions"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_inputs_are_those_of_the_coefficients() {
        let ports = CONTRACT.inputs.iter().filter(|port| port.port_type == PortType::Predictions);
        assert!(ports.map(|port| port.name).eq(INPUTS));
    }

    #[test]
    fn weights_are_checked() {
        let check = |coefficients: &[f64], expect: &[&str]| {
            let params = FuseParams { coefficients: coefficients.to_vec(), ..FuseParams::default() };
            let found: Vec<String> = params.check().into_iter().map(|error| error.message).collect();
            assert_eq!(found, expect, "{coefficients:?}");
        };
        check(&[], &[]);
        check(&[1.0, 0.0], &[]);
        check(&[1e300, 1e-300], &[]);
        check(&[0.0, 0.0], &["a weight is below 0, or all are 0"]);
        check(&[2.0, -1.0], &["a weight is below 0, or all are 0"]);
        check(&[1.0, f64::INFINITY], &["a weight is below 0, or all are 0"]);
        check(&[1e308, 1e308], &["the sum of the weights is too large"]);
        check(&[1e-310, 1e-310], &["the sum of the weights is too small"]);
        check(&[1.0], &["1 weight, but there are 2 to 6 inputs with predictions"]);
        check(&[1.0; 7], &["7 weights, but there are 2 to 6 inputs with predictions"]);
    }
}
