//! Writes a [`Graph`] as an ONNX model, node by node. Start at [`write()`].
//!
//! The file has IR version 8 and opset 17, which all engines of the last years read. Equal graphs, values and metadata give
//! equal bytes. Weights keep their names; the result of a node has the node's name, helpers append `/…` to it.
//!
//! | here | there |
//! |---|---|
//! | [`Op::FramesToBatch`] | `Transpose`, `Reshape` |
//! | [`Op::GlobalAvgPool`] | `GlobalAveragePool`, `Flatten` |
//! | [`Op::SegmentMean`] | `Reshape`, `ReduceMean` |
//! | [`Op::Relu6`] | `Clip` |
//! | [`Op::Linear`] | `Gemm` |
//! | [`Op::Dropout`] | nothing |
//! | [`Op::TemporalShift`] | `Reshape`, `Slice`, `Pad` with zeros, `Concat`, `Reshape` |
//!
//! The shift is made of copies that engines run fast and quantise. Slice assignment, as PyTorch exports it, becomes
//! `ScatterND`, which they do not. Zeros come from `Pad` because the batch, and so the size of a block of zeros, is not known.

mod diff;
mod proto;

pub use diff::difference_beyond;

use crate::{Graph, GraphError, Node, NodeId, Op, Param, Shape};
use prost::Message;
use proto::{
    AttributeProto, AttributeType, Dimension, FLOAT, GraphProto, INT64, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use std::collections::{BTreeMap, BTreeSet};

/// Name of the input, `[N, C, T, H, W]`, normalised f32.
pub const INPUT: &str = "clip";
/// Name of the output, `[N, K]`, f32.
pub const OUTPUT: &str = "logits";

const IR_VERSION: i64 = 8;
const OPSET_VERSION: i64 = 17;
/// Protobuf's limit.
const MAX_BYTES: u64 = i32::MAX as u64;

/// Returns the bytes of an ONNX model.
///
/// `tensor` gives a parameter's values in row-major order; `metadata` becomes the model's `metadata_props`.
///
/// # Errors
/// [`GraphError::MissingTensor`] and [`GraphError::TensorLength`] for values that are missing or of another size,
/// [`GraphError::TooLargeForOnnx`] beyond 2 GB, and all that [`Graph::check`] finds.
pub fn write(
    graph: &Graph,
    tensor: impl Fn(&Param) -> Option<Vec<f32>>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, GraphError> {
    graph.check()?;
    check_bytes(graph.params.iter().map(|param| param.len() as u64 * 4).fold(0, u64::saturating_add))?;
    let mut writer = Writer { graph, nodes: Vec::new(), initializers: Vec::new() };
    for param in &graph.params {
        let values = tensor(param).ok_or_else(|| GraphError::MissingTensor { name: param.name.clone() })?;
        if values.len() != param.len() {
            let (expected, found) = (param.len(), values.len());
            return Err(GraphError::TensorLength { name: param.name.clone(), expected, found });
        }
        writer.floats(&param.name, &param.shape, &values);
    }
    for (position, node) in graph.nodes.iter().enumerate() {
        writer.node(NodeId(position), node);
    }
    let input = value_info(INPUT, &graph.nodes[0].shape);
    let output = value_info(OUTPUT, &graph.nodes[graph.output.0].shape);
    writer.check_names()?;
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("pipe".into()),
        graph: Some(GraphProto {
            node: writer.nodes,
            name: Some(graph.name.clone()),
            initializer: writer.initializers,
            input: vec![input],
            output: vec![output],
        }),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET_VERSION) }],
        metadata_props: metadata.iter().map(metadata_entry).collect(),
    };
    check_bytes(model.encoded_len() as u64)?;
    Ok(model.encode_to_vec())
}

fn check_bytes(size_bytes: u64) -> Result<(), GraphError> {
    if size_bytes > MAX_BYTES {
        return Err(GraphError::TooLargeForOnnx { size_bytes, limit_bytes: MAX_BYTES });
    }
    Ok(())
}

struct Writer<'a> {
    graph: &'a Graph,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl Writer<'_> {
    /// Writes one node of a checked graph.
    fn node(&mut self, id: NodeId, node: &Node) {
        if matches!(node.op, Op::Input | Op::Dropout { .. }) {
            // Both have no node of their own. When nothing else makes the output, something must.
            if id == self.graph.output && self.source(id) == NodeId(0) {
                self.push(&node.name, "Identity", vec![INPUT.into()], OUTPUT.into(), Vec::new());
            }
            return;
        }
        let output = self.value(id);
        let inputs: Vec<String> = node.inputs.iter().map(|input| self.value(*input)).collect();
        let name = node.name.as_str();
        let x = self.graph.nodes[node.inputs[0].0].shape.clone();
        match &node.op {
            Op::Input | Op::Dropout { .. } => {}
            Op::FramesToBatch => {
                let transposed = format!("{name}/transposed");
                self.push(&transposed, "Transpose", inputs, transposed.clone(), vec![ints("perm", &[0, 2, 1, 3, 4])]);
                self.reshape(name, transposed.clone(), &node.shape.dims, output);
            }
            Op::Conv { stride, padding, groups, weight, .. } => {
                let kernel = &self.graph.params[weight.0].shape[2..];
                let mut attributes = window(kernel, stride, padding);
                attributes.push(int("group", *groups as i64));
                self.push(name, "Conv", self.with_params(inputs, node), output, attributes);
            }
            Op::BatchNorm { eps, .. } => {
                let attributes = vec![float("epsilon", *eps as f32)];
                self.push(name, "BatchNormalization", self.with_params(inputs, node), output, attributes);
            }
            Op::Relu => self.push(name, "Relu", inputs, output, Vec::new()),
            Op::Relu6 => {
                let limits = [(format!("{name}/min"), 0.0), (format!("{name}/max"), 6.0)];
                for (limit, value) in &limits {
                    self.floats(limit, &[], &[*value]);
                }
                let inputs = inputs.into_iter().chain(limits.map(|(limit, _)| limit)).collect();
                self.push(name, "Clip", inputs, output, Vec::new());
            }
            Op::MaxPool { kernel, stride, padding } => {
                self.push(name, "MaxPool", inputs, output, window(kernel, stride, padding));
            }
            Op::GlobalAvgPool => {
                let pooled = format!("{name}/pooled");
                self.push(&pooled, "GlobalAveragePool", inputs, pooled.clone(), Vec::new());
                self.push(name, "Flatten", vec![pooled], output, vec![int("axis", 1)]);
            }
            Op::SegmentMean => {
                let by_sample = format!("{name}/by_sample");
                self.reshape(&by_sample, inputs[0].clone(), &x.axes(), by_sample.clone());
                let attributes = vec![ints("axes", &[1]), int("keepdims", 0)];
                self.push(name, "ReduceMean", vec![by_sample], output, attributes);
            }
            Op::Linear { .. } => {
                self.push(name, "Gemm", self.with_params(inputs, node), output, vec![int("transB", 1)]);
            }
            Op::Add => self.push(name, "Add", inputs, output, Vec::new()),
            Op::TemporalShift { frames, shift_div } => {
                self.temporal_shift(name, inputs[0].clone(), &x, (*frames, *shift_div), output);
            }
        }
    }

    /// Moves the first `C / shift_div` channels one frame back and the next as many one frame on.
    fn temporal_shift(&mut self, name: &str, x: String, shape: &Shape, (frames, div): (usize, usize), output: String) {
        let (frames, channels, fold) = (frames as i64, shape.dims[0] as i64, (shape.dims[0] / div) as i64);
        let by_sample = format!("{name}/by_sample"); // [N, T, C, H, W]
        self.reshape(&by_sample, x, &shape.axes(), by_sample.clone());
        let back = self.slice(&format!("{name}/back"), &by_sample, [1, 0], [frames, fold]);
        let back = self.pad_frames(back, 0, 1);
        let on = self.slice(&format!("{name}/on"), &by_sample, [0, fold], [frames - 1, 2 * fold]);
        let on = self.pad_frames(on, 1, 0);
        let mut parts = vec![back, on];
        if 2 * fold < channels {
            parts.push(self.slice(&format!("{name}/rest"), &by_sample, [0, 2 * fold], [frames, channels]));
        }
        let shifted = format!("{name}/shifted");
        self.push(&shifted, "Concat", parts, shifted.clone(), vec![int("axis", 2)]);
        self.reshape(name, shifted, &shape.dims, output);
    }

    /// Cuts `[N, T, C, H, W]` from `starts` to `ends`, each a frame and a channel.
    fn slice(&mut self, name: &str, x: &str, starts: [i64; 2], ends: [i64; 2]) -> String {
        let bounds = [("starts", starts), ("ends", ends), ("axes", [1, 2])];
        let mut inputs = vec![x.to_owned()];
        for (suffix, values) in bounds {
            let constant = format!("{name}/{suffix}");
            self.ints(&constant, &values);
            inputs.push(constant);
        }
        self.push(name, "Slice", inputs, name.to_owned(), Vec::new());
        name.to_owned()
    }

    /// Puts frames of zeros before and after those of `[N, T, C, H, W]`.
    fn pad_frames(&mut self, x: String, before: i64, after: i64) -> String {
        let (padded, pads) = (format!("{x}/padded"), format!("{x}/pads"));
        self.ints(&pads, &[0, before, 0, 0, 0, 0, after, 0, 0, 0]);
        self.push(&padded, "Pad", vec![x, pads], padded.clone(), Vec::new());
        padded
    }

    /// Reshapes to `[-1, dims…]`.
    fn reshape(&mut self, name: &str, x: String, dims: &[usize], output: String) {
        let shape = format!("{name}/shape");
        let axes: Vec<i64> = std::iter::once(-1).chain(dims.iter().map(|size| *size as i64)).collect();
        self.ints(&shape, &axes);
        self.push(name, "Reshape", vec![x, shape], output, Vec::new());
    }

    fn with_params(&self, inputs: Vec<String>, node: &Node) -> Vec<String> {
        let params = node.op.params().into_iter().map(|id| self.graph.params[id.0].name.clone());
        inputs.into_iter().chain(params).collect()
    }

    /// Returns the node that makes a node's value: itself, or what comes before a dropout.
    fn source(&self, mut id: NodeId) -> NodeId {
        while let Op::Dropout { .. } = self.graph.nodes[id.0].op {
            id = self.graph.nodes[id.0].inputs[0];
        }
        id
    }

    /// Returns the name of a node's value in the file.
    fn value(&self, id: NodeId) -> String {
        let source = self.source(id);
        if source == NodeId(0) {
            INPUT.to_owned()
        } else if source == self.source(self.graph.output) {
            OUTPUT.to_owned()
        } else {
            self.graph.nodes[source.0].name.clone()
        }
    }

    fn push(&mut self, name: &str, op: &str, input: Vec<String>, output: String, attribute: Vec<AttributeProto>) {
        let (name, op_type) = (Some(name.to_owned()), Some(op.to_owned()));
        self.nodes.push(NodeProto { input, output: vec![output], name, op_type, attribute });
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, shape, FLOAT, bytes);
    }

    fn ints(&mut self, name: &str, values: &[i64]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, &[values.len()], INT64, bytes);
    }

    fn initializer(&mut self, name: &str, shape: &[usize], data_type: i32, raw_data: Vec<u8>) {
        self.initializers.push(TensorProto {
            dims: shape.iter().map(|size| *size as i64).collect(),
            data_type: Some(data_type),
            name: Some(name.to_owned()),
            raw_data: Some(raw_data),
        });
    }

    /// Refuses two values of one name, which the format does not allow.
    fn check_names(&self) -> Result<(), GraphError> {
        let mut seen = BTreeSet::from([INPUT]);
        let outputs = self.nodes.iter().flat_map(|node| &node.output);
        let initializers = self.initializers.iter().filter_map(|tensor| tensor.name.as_ref());
        for name in outputs.chain(initializers) {
            if !seen.insert(name) {
                return Err(GraphError::DuplicateName { name: name.clone() });
            }
        }
        Ok(())
    }
}

/// Attributes of a convolution or pooling.
fn window(kernel: &[usize], stride: &[usize], padding: &[usize]) -> Vec<AttributeProto> {
    let to_ints = |sizes: &[usize]| sizes.iter().map(|size| *size as i64).collect::<Vec<_>>();
    let both_sides = [padding, padding].concat();
    vec![ints("kernel_shape", &to_ints(kernel)), ints("strides", &to_ints(stride)), ints("pads", &to_ints(&both_sides))]
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..AttributeProto::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

fn metadata_entry((key, value): (&String, &String)) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.clone()), value: Some(value.clone()) }
}

/// Describes an input or output, whose first axis is `N`, or so many times `N` under a name of its own.
fn value_info(name: &str, shape: &Shape) -> ValueInfoProto {
    let batch = match shape.per_sample {
        1 => "N".to_owned(),
        rows => format!("{rows}N"),
    };
    let batch = Dimension { dim_value: None, dim_param: Some(batch) };
    let size = |size: &usize| Dimension { dim_value: Some(*size as i64), dim_param: None };
    let dim = std::iter::once(batch).chain(shape.dims.iter().map(size)).collect();
    let tensor_type = TensorTypeProto { elem_type: Some(FLOAT), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::tiny;
    use crate::{Builder, ClipShape, Init};

    #[expect(clippy::unnecessary_wraps, reason = "the signature is that of a look-up")]
    fn numbered(param: &Param) -> Option<Vec<f32>> {
        Some((0..param.len()).map(|index| index as f32).collect())
    }

    fn model(graph: &Graph) -> ModelProto {
        let metadata = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]);
        let bytes = write(graph, numbered, &metadata).expect("the graph is written");
        ModelProto::decode(bytes.as_slice()).expect("what was written is read")
    }

    #[test]
    fn nodes_are_those_of_the_table() {
        let graph = model(&tiny()).graph.expect("a model has a graph");
        let found: Vec<&str> = graph.node.iter().filter_map(|node| node.op_type.as_deref()).collect();
        let shift = ["Reshape", "Slice", "Pad", "Slice", "Pad", "Concat", "Reshape"];
        let before = ["Transpose", "Reshape", "Conv", "BatchNormalization", "Clip"];
        let after = ["GlobalAveragePool", "Flatten", "Reshape", "ReduceMean", "Gemm"];
        assert_eq!(found, [before.as_slice(), &shift, &after].concat());
    }

    #[test]
    fn names_are_those_of_the_graph() {
        let model = model(&tiny());
        let metadata: Vec<_> = model.metadata_props.iter().filter_map(|entry| entry.key.as_deref()).collect();
        assert_eq!((model.ir_version, model.opset_import[0].version, metadata), (Some(8), Some(17), vec!["a", "b"]));
        let graph = model.graph.expect("a model has a graph");
        assert_eq!((graph.input[0].name.as_deref(), graph.output[0].name.as_deref()), (Some(INPUT), Some(OUTPUT)));
        let conv = graph.node.iter().find(|node| node.name.as_deref() == Some("conv1")).expect("there is one");
        assert_eq!(conv.input, ["frames", "conv1.weight", "conv1.bias"]);
        // The dropout before it is gone.
        let fc = graph.node.last().expect("there are nodes");
        assert_eq!((fc.input[0].as_str(), fc.output[0].as_str()), ("consensus", "logits"));
        let bias =
            graph.initializer.iter().find(|tensor| tensor.name.as_deref() == Some("fc.bias")).expect("there is one");
        let expect: Vec<u8> = [0.0_f32, 1.0, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!((bias.dims.as_slice(), bias.raw_data.as_ref()), ([5].as_slice(), Some(&expect)));
    }

    #[test]
    fn equal_graphs_give_equal_bytes() {
        let write = || write(&tiny(), numbered, &BTreeMap::new()).expect("the graph is written");
        assert_eq!(write(), write());
        // A change of bytes changes each exported model: it is one on purpose, or a mistake.
        assert_eq!(
            blake3::hash(&write()).to_hex().as_str(),
            "544848dca768be40c9c32d78d06213820f77ab2a510f28822b15e5d401cb40bb"
        );
    }

    #[test]
    fn names_that_collide_are_errors() {
        let mut graph = tiny();
        graph.nodes[2].name = OUTPUT.into();
        assert_eq!(write(&graph, numbered, &BTreeMap::new()), Err(GraphError::DuplicateName { name: OUTPUT.into() }));
    }

    #[test]
    fn more_than_two_gigabytes_are_an_error() {
        let mut g =
            Builder::new("huge", ClipShape { channels: 1 << 15, frames: 1, height: 1, width: 1 }).expect("a clip");
        let x = g.global_avg_pool("pool", g.input()).expect("pixels");
        let fc = g.linear("fc", x, 1 << 15, Init::Constant(0.0)).expect("features");
        let graph = g.finish(fc, fc).expect("logits");
        let size_bytes = ((1 << 30) + (1 << 15)) * 4;
        let expect = GraphError::TooLargeForOnnx { size_bytes, limit_bytes: i32::MAX as u64 };
        assert_eq!(write(&graph, |_| None, &BTreeMap::new()), Err(expect));
    }
}
