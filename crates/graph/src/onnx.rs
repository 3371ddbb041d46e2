//! Writes a [`Graph`] as an ONNX model. Start at [`write()`]; each op writes its own nodes, see [`crate::ops`].
//!
//! The file has IR version 8 and opset 17, which ONNX Runtime, OpenVINO and TensorRT support. Equal graphs, values
//! and metadata give equal bytes. Tensors keep their names. The result of a node has the node's name, and helper nodes append
//! `/…` to it. Ops that return their input unchanged at inference, such as dropout, and nodes that only training uses
//! have no node.

mod diff;
mod form;
mod proto;
pub(crate) mod writer;

use crate::check::operands;
use crate::{Graph, GraphError, NodeId, Op, Param, ParamId, Shape};
use prost::Message;
use proto::{
    Dimension, FLOAT, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use std::collections::{BTreeMap, BTreeSet};
use writer::{NodeWriter, Nodes};

pub use diff::difference_beyond;
pub use form::{Form, HalfType};
pub use writer::{INPUT, OUTPUT};

const IR_VERSION: i64 = 8;
/// The version of ONNX's operators in written files.
pub const OPSET_VERSION: i64 = 17;
/// The limit of protobuf for one message.
const MAX_BYTES: u64 = i32::MAX as u64;

/// The axes of the clip that may have other sizes than in the graph. The batch always may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FreeAxes {
    /// `T`.
    pub frames: bool,
    /// `H`.
    pub height: bool,
    /// `W`.
    pub width: bool,
}

/// Returns the bytes of an ONNX model in 32-bit floating point for clips of the graph's size.
///
/// `tensor` returns the values of a tensor in row-major order; `metadata` becomes the model's `metadata_props`.
///
/// # Errors
/// [`GraphError::MissingTensor`] and [`GraphError::TensorLength`] for values that are missing or of another length,
/// [`GraphError::TooLargeForOnnx`] beyond 2 GB, and every error of [`Graph::check`].
pub fn write(
    graph: &Graph,
    tensor: impl Fn(&Param) -> Option<Vec<f32>>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, GraphError> {
    write_model(graph, tensor, metadata, FreeAxes::default(), &Form::Float32)
}

/// Returns the bytes of an ONNX model as [`write()`] does, with numbers of another form.
///
/// # Errors
/// See [`write()`].
pub fn write_as(
    graph: &Graph,
    tensor: impl Fn(&Param) -> Option<Vec<f32>>,
    metadata: &BTreeMap<String, String>,
    form: &Form<'_>,
) -> Result<Vec<u8>, GraphError> {
    write_model(graph, tensor, metadata, FreeAxes::default(), form)
}

/// Returns the bytes of an ONNX model as [`write()`] does, whose input is declared with free axes. [`has_equal_nodes`] says whether the nodes
/// allow that.
///
/// # Errors
/// See [`write()`].
pub fn write_with_axes(
    graph: &Graph,
    tensor: impl Fn(&Param) -> Option<Vec<f32>>,
    metadata: &BTreeMap<String, String>,
    free: FreeAxes,
) -> Result<Vec<u8>, GraphError> {
    write_model(graph, tensor, metadata, free, &Form::Float32)
}

fn write_model(
    graph: &Graph,
    tensor: impl Fn(&Param) -> Option<Vec<f32>>,
    metadata: &BTreeMap<String, String>,
    free: FreeAxes,
    form: &Form<'_>,
) -> Result<Vec<u8>, GraphError> {
    graph.check()?;
    check_bytes(graph.params.iter().map(|param| param.len() as u64 * 4).fold(0, u64::saturating_add))?;
    let mut file = Nodes::default();
    let used = graph.used_at_inference();
    let nodes = graph.nodes.iter().zip(&used).filter(|(_, used)| **used);
    let ids: BTreeSet<ParamId> = nodes.flat_map(|(node, _)| node.params.iter().map(|param| param.id)).collect();
    let mut tensors = BTreeMap::new();
    for param in ids.iter().map(|id| &graph.params[id.0]) {
        let values = tensor(param).ok_or_else(|| GraphError::MissingTensor { name: param.name.clone() })?;
        if values.len() != param.len() {
            let (expected, found) = (param.len(), values.len());
            return Err(GraphError::TensorLength { name: param.name.clone(), expected, found });
        }
        tensors.insert(param.name.as_str(), values);
    }
    form.write_tensors(&mut file, graph, &tensors);
    write_nodes(&mut file, graph, &used, form)?;
    check_names(&file)?;
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("pipe".into()),
        graph: Some(GraphProto {
            node: file.nodes,
            name: Some(graph.name.clone()),
            initializer: file.initializers,
            input: vec![clip_info(&graph.nodes[0].shape, free)],
            output: vec![value_info(OUTPUT, &graph.nodes[graph.output.0].shape)],
        }),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET_VERSION) }],
        metadata_props: metadata.iter().map(metadata_entry).collect(),
    };
    check_bytes(model.encoded_len() as u64)?;
    Ok(model.encode_to_vec())
}

/// Returns whether two graphs for clips of other sizes have equal nodes in an ONNX file, so that each file takes the clips of both.
///
/// # Errors
/// Every error of [`Graph::check`].
pub fn has_equal_nodes(one: &Graph, two: &Graph) -> Result<bool, GraphError> {
    let nodes = |graph: &Graph| {
        graph.check()?;
        let mut file = Nodes::default();
        write_nodes(&mut file, graph, &graph.used_at_inference(), &Form::Float32)?;
        Ok::<_, GraphError>(file)
    };
    let (one_file, two_file) = (nodes(one)?, nodes(two)?);
    let equal = one_file.nodes == two_file.nodes && one_file.initializers == two_file.initializers;
    Ok(equal && one.params == two.params)
}

/// Writes all nodes that are used.
fn write_nodes(file: &mut Nodes, graph: &Graph, used: &[bool], form: &Form<'_>) -> Result<(), GraphError> {
    let used = used.iter().enumerate().filter(|(_, used)| **used);
    used.map(|(position, _)| NodeId(position)).try_for_each(|id| write_node(file, graph, id, form))
}

/// Writes one node of a checked graph.
fn write_node(file: &mut Nodes, graph: &Graph, id: NodeId, form: &Form<'_>) -> Result<(), GraphError> {
    let node = &graph.nodes[id.0];
    let operation = node.op.operation();
    // If the output of the network is its input, a node must copy it.
    let copies_input = id == graph.output && graph.computed_by(id) == NodeId(0);
    if operation.is_identity_at_inference() && !copies_input {
        if id == NodeId(0) {
            form.write_rounding(file, id, INPUT);
        }
        return Ok(());
    }
    let output = if copies_input { OUTPUT.to_owned() } else { value_name(graph, id) };
    operation.write_onnx(&mut NodeWriter {
        file: &mut *file,
        name: &node.name,
        operands: operands(node, &graph.nodes, &graph.params)?,
        inputs: node
            .inputs
            .iter()
            .map(|input| form.read_name(graph.computed_by(*input), value_name(graph, *input)))
            .collect(),
        output: output.clone(),
        shape: &node.shape,
        has_transposed_weight: form.is_quantized(id),
    });
    form.write_rounding(file, id, &output);
    Ok(())
}

/// Returns the name of a node's value in the file.
fn value_name(graph: &Graph, id: NodeId) -> String {
    let source = graph.computed_by(id);
    if source == NodeId(0) {
        INPUT.to_owned()
    } else if source == graph.computed_by(graph.output) {
        OUTPUT.to_owned()
    } else if let node = &graph.nodes[source.0]
        && let (Op::Table(_), [param, ..]) = (&node.op, node.params.as_slice())
    {
        graph.params[param.id.0].name.clone()
    } else {
        graph.nodes[source.0].name.clone()
    }
}

/// Rejects two values of the same name, which the format does not allow.
fn check_names(file: &Nodes) -> Result<(), GraphError> {
    let mut seen = BTreeSet::from([INPUT]);
    let outputs = file.nodes.iter().flat_map(|node| &node.output);
    let initializers = file.initializers.iter().filter_map(|tensor| tensor.name.as_ref());
    for name in outputs.chain(initializers) {
        if !seen.insert(name) {
            return Err(GraphError::DuplicateName { name: name.clone() });
        }
    }
    Ok(())
}

fn check_bytes(size_bytes: u64) -> Result<(), GraphError> {
    if size_bytes > MAX_BYTES {
        return Err(GraphError::TooLargeForOnnx { size_bytes, limit_bytes: MAX_BYTES });
    }
    Ok(())
}

fn metadata_entry((key, value): (&String, &String)) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.clone()), value: Some(value.clone()) }
}

/// Describes an input or output. The first axis is named `N`, or `8N` for 8 rows per sample.
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

/// Describes the input, whose free axes are named `T`, `H` and `W`.
fn clip_info(shape: &Shape, free: FreeAxes) -> ValueInfoProto {
    let mut info = value_info(INPUT, shape);
    let shape =
        info.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut()).and_then(|tensor| tensor.shape.as_mut());
    let dims = shape.map(|shape| &mut shape.dim).into_iter().flatten().skip(2);
    for (dim, (is_free, name)) in dims.zip([(free.frames, "T"), (free.height, "H"), (free.width, "W")]) {
        if is_free {
            *dim = Dimension { dim_value: None, dim_param: Some(name.to_owned()) };
        }
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{global_avg_pool::GlobalAvgPool, linear::LinearParams};
    use crate::tests::tiny;
    use crate::{Builder, ClipShape, Init};

    #[expect(clippy::unnecessary_wraps, reason = "`write` takes a function that may find nothing")]
    fn numbered(param: &Param) -> Option<Vec<f32>> {
        Some((0..param.len()).map(|index| index as f32).collect())
    }

    fn model(graph: &Graph) -> ModelProto {
        let metadata = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]);
        let bytes = write(graph, numbered, &metadata).expect("the graph is written");
        ModelProto::decode(bytes.as_slice()).expect("the bytes are a model")
    }

    #[test]
    fn each_op_writes_its_nodes() {
        let graph = model(&tiny()).graph.expect("a model has a graph");
        let found: Vec<&str> = graph.node.iter().filter_map(|node| node.op_type.as_deref()).collect();
        let shift = ["Reshape", "Slice", "Pad", "Slice", "Pad", "Concat", "Reshape"];
        let before = ["Transpose", "Reshape", "Conv", "BatchNormalization", "Clip"];
        let after = ["GlobalAveragePool", "Flatten", "Reshape", "ReduceMean", "Gemm"];
        assert_eq!(found, [before.as_slice(), &shift, &after].concat());
    }

    #[test]
    fn names_come_from_the_graph() {
        let model = model(&tiny());
        let metadata: Vec<_> = model.metadata_props.iter().filter_map(|entry| entry.key.as_deref()).collect();
        assert_eq!((model.ir_version, model.opset_import[0].version, metadata), (Some(8), Some(17), vec!["a", "b"]));
        let graph = model.graph.expect("a model has a graph");
        assert_eq!((graph.input[0].name.as_deref(), graph.output[0].name.as_deref()), (Some(INPUT), Some(OUTPUT)));
        let conv = graph.node.iter().find(|node| node.name.as_deref() == Some("conv1")).expect("found");
        assert_eq!(conv.input, ["frames", "conv1.weight", "conv1.bias"]);
        // The dropout before it has no node.
        let fc = graph.node.last().expect("found");
        assert_eq!((fc.input[0].as_str(), fc.output[0].as_str()), ("consensus", "logits"));
        let bias = graph.initializer.iter().find(|tensor| tensor.name.as_deref() == Some("fc.bias")).expect("found");
        let expect: Vec<u8> = [0.0_f32, 1.0, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!((bias.dims.as_slice(), bias.raw_data.as_ref()), ([5].as_slice(), Some(&expect)));
    }

    #[test]
    fn equal_graphs_give_equal_bytes() {
        let write = || write(&tiny(), numbered, &BTreeMap::new()).expect("the graph is written");
        assert_eq!(write(), write());
        // A change means that every exported model changes; it must be on purpose.
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
        let x = g.node("pool", g.input(), GlobalAvgPool).expect("pixels");
        let params = LinearParams { out_features: 1 << 15, init: Init::Constant(0.0), bias: true };
        let fc = g.node("fc", x, params).expect("features");
        let graph = g.finish(fc, fc).expect("logits");
        let size_bytes = ((1 << 30) + (1 << 15)) * 4;
        let expect = GraphError::TooLargeForOnnx { size_bytes, limit_bytes: i32::MAX as u64 };
        assert_eq!(write(&graph, |_| None, &BTreeMap::new()), Err(expect));
    }
}
