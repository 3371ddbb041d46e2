//! `optimize`: a trained network becomes smaller or faster: channels are removed, weights become 0, or its numbers have 16 or 8 bits.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, ParamError, Params, PortType, Tolerance, Tool, Worker, parse,
    schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `optimize`.
pub const CONTRACT: Contract = Contract {
    kind: "optimize",
    version: 1,
    summary: "prunes a trained network, or quantises it to int8 or 16 bits, and compares the ONNX file with libtorch",
    worker: Some(Worker::Torch),
    open_ports: None,
    inputs: &[
        InputPort { name: "model", port_type: PortType::Model, required: true, or_param: None },
        InputPort { name: "frames", port_type: PortType::Frames, required: true, or_param: None },
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
    ],
    outputs: &[
        OutputPort { name: "model", port_type: PortType::Model, path: "model" },
        OutputPort { name: "onnx", port_type: PortType::Onnx, path: "model.onnx" },
        OutputPort { name: "report", port_type: PortType::Metrics, path: "report.json" },
    ],
    parts: None,
    numerics: Numerics::FloatingPoint(Tolerance { relative: 0.05, absolute: 0.02 }),
    check: Check::Never,
    tools: &[Tool::Libtorch, Tool::LibjpegTurbo, Tool::OnnxRuntime],
    schema: schema::<OptimizeParams>,
    parse: parse::<OptimizeParams>,
};

/// Parameters of `optimize`. Pruning comes before quantisation. Batch normalisations are folded into convolutions in the ONNX file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizeParams {
    /// What is removed from the network. Train the output `model` again afterwards: connect it to the input `model` of a stage `train`.
    /// Default: nothing.
    pub prune: Option<Prune>,
    /// The numbers of the output `onnx`. Default: 32-bit floating point.
    pub quantize: Option<Quantize>,
    /// Number of test views on which the ONNX file is compared with libtorch. Default: 16.
    #[schemars(range(min = 1, max = 10_000))]
    pub compare_views: u32,
}

impl Default for OptimizeParams {
    fn default() -> Self {
        Self { prune: None, quantize: None, compare_views: 16 }
    }
}

/// What is removed from a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Prune {
    /// Channels, heads and hidden features, so that the network has fewer multiply-adds.
    Channels(ChannelPruning),
    /// Weights become 0; shapes and multiply-adds stay.
    Magnitude(MagnitudePruning),
}

/// Removes channels that matter least. Channels that residual sums, depthwise convolutions or gates couple are removed together. The classes
/// and the channels of the clip stay, and so do channels that a layer normalisation needs; the report names them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelPruning {
    /// The size of the pruned network.
    pub target: PruneTarget,
    /// How much the reached share may differ from the target; more is an error. Default: 0.02.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub tolerance: f64,
    /// The importance of a channel: the norm of all weights that compute or read it. Default: `l2`.
    pub importance: Importance,
    /// Whether channels compete with those of the whole network (`global`; importance is divided by the mean of the layers that are pruned
    /// together) or of their layers (`layer`; all lose the same share). Default: `layer`.
    pub scope: PruneScope,
    /// The smallest number of channels that a layer keeps; layers with fewer stay whole. Heads of attention are not counted, one of them
    /// always stays. Default: 8.
    #[schemars(range(min = 1))]
    pub min_channels: u32,
    /// The number of channels that a layer keeps is a multiple of it. Engines are fastest with multiples of 8 or 16. Default: 8.
    #[schemars(range(min = 1))]
    pub round_to: u32,
}

/// The size of a pruned network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneTarget {
    /// The multiply-adds of the pruned network as a share of those before: above 0, below 1. Half of the channels of every layer is about
    /// a quarter of the multiply-adds.
    pub macs: f64,
}

/// The importance of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// The sum of the absolute values of its weights.
    L1,
    /// The root of the sum of their squares.
    L2,
}

/// What channels or weights compete with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PruneScope {
    /// All of the network.
    Global,
    /// Those of their layer: each layer loses the same share.
    Layer,
}

/// Sets the weights of convolutions, linear and recurrent layers with the smallest absolute values to 0. Training the network again
/// changes the zeros.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MagnitudePruning {
    /// The share of the weights that become 0: above 0, below 1.
    pub sparsity: f64,
    /// Whether weights compete with those of the whole network, or of their layer. Default: `global`.
    #[serde(default = "global")]
    pub scope: PruneScope,
}

fn global() -> PruneScope {
    PruneScope::Global
}

impl Default for ChannelPruning {
    fn default() -> Self {
        Self {
            target: PruneTarget { macs: 0.5 },
            tolerance: 0.02,
            importance: Importance::L2,
            scope: PruneScope::Layer,
            min_channels: 8,
            round_to: 8,
        }
    }
}

/// The numbers of an ONNX file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Quantize {
    /// Convolutions and linear layers compute with 8-bit integers. Normalisations, softmax and the products of attention stay in floating
    /// point.
    Int8(Int8),
    /// Weights are stored as float16, and converted when an engine loads the file.
    Float16 {},
    /// Weights are stored as bfloat16, and converted when an engine loads the file.
    Bfloat16 {},
}

/// Post-training quantisation: weights have a scale for each filter, values one that is calibrated on clips of the training split. The file
/// has `QuantizeLinear` and `DequantizeLinear` (QDQ).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "parameters that are independent of each other")]
pub struct Int8 {
    /// How the range of a value is chosen from those that were seen. Default: `mse`.
    pub calibration: CalibrationMethod,
    /// The share of the values in the range, in percent, for the calibration `percentile`. Default: 99.99.
    #[schemars(range(min = 50.0, max = 100.0))]
    pub percentile: f64,
    /// Number of clips of the first training epoch on which values are measured, spread evenly over it. Default: 64.
    #[schemars(range(min = 1, max = 100_000))]
    pub num_clips: u32,
    /// Whether values are signed with a zero point of 0. OpenVINO needs it for depthwise convolutions over frames, as X3D, CSN and MViT
    /// have them. Default: false.
    pub symmetric: bool,
    /// Whether weights have 7 bits. On processors without VNNI (AVX2, AVX-512), sums of two products of 8 bits overflow without an error;
    /// with 7 bits they do not, but weights are rounded more. Compare both on such a processor. Default: false.
    pub reduce_range: bool,
    /// Whether the first layer stays in floating point. Default: false.
    pub skip_first: bool,
    /// Whether the classifier stays in floating point. Default: false.
    pub skip_last: bool,
    /// Names of other convolutions and linear layers that stay in floating point.
    pub skip: Vec<String>,
}

/// How the range of a value is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// All values that were seen.
    MinMax,
    /// The middle `percentile` percent of the values.
    Percentile,
    /// The smallest Kullback-Leibler divergence between values before and after rounding.
    Entropy,
    /// The smallest mean of squared rounding errors.
    Mse,
}

impl Default for Int8 {
    fn default() -> Self {
        Self {
            calibration: CalibrationMethod::Mse,
            percentile: 99.99,
            num_clips: 64,
            symmetric: false,
            reduce_range: false,
            skip_first: false,
            skip_last: false,
            skip: Vec::new(),
        }
    }
}

impl Params for OptimizeParams {
    fn check(&self) -> Vec<ParamError> {
        let error = |path: &[&str], message: String, help: &str| ParamError {
            path: path.iter().map(|step| (*step).to_owned()).collect(),
            message,
            help: help.to_owned(),
        };
        let mut errors = Vec::new();
        if self.prune.is_none() && self.quantize.is_none() {
            let help = "set `prune`, such as `{ type: channels }`, or `quantize`, such as `{ type: int8 }`";
            errors.push(error(&[], "nothing is optimised".to_owned(), help));
        }
        let share = |path: &[&str], found: f64| {
            // NaN is in no range.
            let valid = found > 0.0 && found < 1.0;
            (!valid).then(|| error(path, format!("{found} is not a share"), "a number above 0 and below 1"))
        };
        errors.extend(match &self.prune {
            Some(Prune::Channels(channels)) => share(&["prune", "target", "macs"], channels.target.macs),
            Some(Prune::Magnitude(magnitude)) => share(&["prune", "sparsity"], magnitude.sparsity),
            None => None,
        });
        errors
    }
}

/// The content of `report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptimizeReport {
    /// The network of the input.
    pub before: NetworkSize,
    /// The network of the output `model`.
    pub after: NetworkSize,
    /// The layers whose channels were removed; empty without `prune: { type: channels }`.
    pub channels: Vec<PrunedLayers>,
    /// The convolutions and linear layers of which no channel could be removed, with the reason.
    pub whole: Vec<WholeLayer>,
    /// The zeros of each weight; empty without `prune: { type: magnitude }`.
    pub weights: Vec<ZeroWeights>,
    /// What was quantised; `None` unless it is `int8`.
    pub int8: Option<Int8Report>,
    /// The size of `model.onnx`.
    pub onnx_bytes: u64,
    /// The size of `model.onnx` as a share of that of the input's network in 32-bit floating point.
    pub onnx_share: f64,
    /// The ONNX file against the output `model` in libtorch.
    pub comparison: Comparison,
}

/// The size of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSize {
    /// Number of trained values.
    pub num_params: u64,
    /// Multiply-adds for one test clip.
    pub macs: u64,
}

/// Layers that lose the same channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedLayers {
    /// Names of the layers that compute these channels.
    pub layers: Vec<String>,
    /// Number of channels, or of heads, before.
    pub before: u64,
    /// Number of channels, or of heads, after.
    pub after: u64,
    /// Number of channels of a head; 1 if single channels are removed.
    pub unit_width: u64,
}

/// A layer that stays whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeLayer {
    /// Name of the layer.
    pub name: String,
    /// Which op needs all of its channels.
    pub reason: String,
}

/// The zeros of a weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZeroWeights {
    /// Name of the tensor.
    pub name: String,
    /// Number of values.
    pub num_weights: u64,
    /// Number of values that are 0.
    pub num_zeros: u64,
}

/// What was quantised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Int8Report {
    /// Number of batch normalisations that were folded into convolutions.
    pub num_folded: u64,
    /// Number of convolutions and linear layers that compute with integers.
    pub num_layers: u64,
    /// Number of values that are rounded.
    pub num_values: u64,
    /// The convolutions and linear layers that stay in floating point, with the reason.
    pub float: Vec<WholeLayer>,
    /// Number of clips on which values were measured.
    pub num_clips: u64,
    /// Number of clips of the first training epoch.
    pub num_train_clips: u64,
}

/// An ONNX file against libtorch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Number of test views compared.
    pub num_views: u64,
    /// Number of test views in the samples.
    pub num_test_views: u64,
    /// The largest absolute difference of a logit.
    pub max_abs_diff: f64,
    /// The largest absolute logit of libtorch.
    pub max_abs_logit: f64,
    /// Share of the views for which both predict the same class.
    pub top1_agreement: f64,
}
