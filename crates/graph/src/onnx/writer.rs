//! [`NodeWriter`]: what an op writes its ONNX nodes with.

use super::form;
pub(crate) use super::proto::AttributeProto;
use super::proto::{AttributeType, FLOAT, INT64, NodeProto, TensorProto};
use crate::Shape;
use crate::operands::Operands;
use crate::shape::Window;

/// The name of the input, `[N, C, T, H, W]`, normalised f32.
pub const INPUT: &str = "clip";
/// The name of the output, `[N, K]`, f32.
pub const OUTPUT: &str = "logits";

/// The nodes and constants of an ONNX file.
#[derive(Default)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<TensorProto>,
}

/// Writes the ONNX nodes of one op.
///
/// The last node has the name of the op's node, and its value has the name that other nodes read. Nodes before it are steps; steps and
/// constants have the name of the node and a suffix, such as `layer1.0.shift/by_sample`.
pub(crate) struct NodeWriter<'a> {
    pub(super) file: &'a mut Nodes,
    /// The name of the op's node.
    pub(super) name: &'a str,
    pub(super) operands: Operands<'a>,
    /// The names of the inputs' values.
    pub(super) inputs: Vec<String>,
    /// The name of the result's value.
    pub(super) output: String,
    /// The shape of the result.
    pub(super) shape: &'a Shape,
    /// Whether the file has the weight of a linear layer transposed, `[in, out]`.
    pub(super) has_transposed_weight: bool,
}

impl NodeWriter<'_> {
    /// Returns the names of the inputs' values.
    pub(crate) fn inputs(&self) -> Vec<String> {
        self.inputs.clone()
    }

    /// Returns the names of the inputs' values and of the tensors in the order of the op's slots.
    pub(crate) fn inputs_and_params(&self) -> Vec<String> {
        let params = self.operands.params.iter().map(|(_, param)| param.name.clone());
        self.inputs.iter().cloned().chain(params).collect()
    }

    /// Returns the shape of the result.
    pub(crate) fn shape(&self) -> &Shape {
        self.shape
    }

    pub(crate) fn input_shapes(&self) -> Vec<Shape> {
        self.operands.inputs.iter().map(|shape| (*shape).clone()).collect()
    }

    /// Returns the shape of the first input; the shape of the result if the op has none.
    pub(crate) fn input_shape(&self) -> &Shape {
        self.operands.inputs.first().copied().unwrap_or(self.shape)
    }

    /// Returns the shape of a tensor; no axes if the node does not have it.
    pub(crate) fn param_shape(&self, slot: &str) -> &[usize] {
        self.operands.optional(slot).map_or(&[], |param| &param.shape)
    }

    /// Returns the name of a tensor; the name of the slot if the node does not have it, which no checked graph allows.
    pub(crate) fn param_name(&self, slot: &str) -> String {
        self.operands.optional(slot).map_or_else(|| slot.to_owned(), |param| param.name.clone())
    }

    /// Returns the name of the transposed `weight`, `[in, out]`, which is written as a step unless the file has it.
    pub(crate) fn transposed_weight(&mut self) -> String {
        let weight = self.param_name("weight");
        if self.has_transposed_weight {
            return form::transposed_name(&weight);
        }
        self.step("transposed", "Transpose", vec![weight], vec![ints("perm", &[1, 0])])
    }

    /// Writes the last node. Its value is the result of the op.
    pub(crate) fn result(&mut self, op_type: &str, inputs: Vec<String>, attributes: Vec<AttributeProto>) {
        self.file.push(self.name, op_type, inputs, self.output.clone(), attributes);
    }

    /// Writes the last node as a reshape of `x` to the shape of the result.
    pub(crate) fn reshape_to_result(&mut self, x: String) {
        let shape = self.constant_i64("shape", &onnx_shape(self.shape));
        self.result("Reshape", vec![x, shape], Vec::new());
    }

    /// Writes a node before the last one and returns the name of its value.
    pub(crate) fn step(
        &mut self,
        suffix: &str,
        op_type: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let name = self.with_suffix(suffix);
        self.file.push(&name, op_type, inputs, name.clone(), attributes);
        name
    }

    /// Writes a step that gives each sample of the first input an axis of its own: `[N * T, …]` to `[N, T, …]`.
    pub(crate) fn input_by_sample(&mut self, suffix: &str) -> String {
        let Shape { per_sample, dims } = self.input_shape();
        let by_sample = Shape { per_sample: 1, dims: [&[*per_sample], dims.as_slice()].concat() };
        let x = self.inputs.first().cloned().unwrap_or_default();
        self.reshape(suffix, &x, &by_sample)
    }

    /// Writes a step that reshapes `x`, and returns the name of its value.
    pub(crate) fn reshape(&mut self, suffix: &str, x: &str, shape: &Shape) -> String {
        let shape = self.constant_i64(&format!("{suffix}/shape"), &onnx_shape(shape));
        self.step(suffix, "Reshape", vec![x.to_owned(), shape], Vec::new())
    }

    /// Writes a constant of integers and returns the name of its value.
    pub(crate) fn constant_i64(&mut self, suffix: &str, values: &[i64]) -> String {
        let name = self.with_suffix(suffix);
        self.file.integers(&name, values);
        name
    }

    /// Writes a constant of floats and returns the name of its value.
    pub(crate) fn constant_f32(&mut self, suffix: &str, shape: &[usize], values: &[f32]) -> String {
        let name = self.with_suffix(suffix);
        self.file.floats(&name, shape, values);
        name
    }

    /// Writes a constant of floats that several nodes read, unless a node before has written it, and returns the name of its value.
    /// The name says everything that the values follow from.
    pub(crate) fn shared_f32(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        if !self.file.has_initializer(name) {
            self.file.floats(name, shape, values);
        }
        name.to_owned()
    }

    /// Writes a constant of integers that several nodes read, as [`shared_f32`](Self::shared_f32) does.
    pub(crate) fn shared_i64(&mut self, name: &str, values: &[i64]) -> String {
        if !self.file.has_initializer(name) {
            self.file.integers(name, values);
        }
        name.to_owned()
    }

    fn with_suffix(&self, suffix: &str) -> String {
        format!("{}/{suffix}", self.name)
    }
}

impl Nodes {
    pub(super) fn push(
        &mut self,
        name: &str,
        op_type: &str,
        input: Vec<String>,
        output: String,
        attribute: Vec<AttributeProto>,
    ) {
        let (name, op_type) = (Some(name.to_owned()), Some(op_type.to_owned()));
        self.nodes.push(NodeProto { input, output: vec![output], name, op_type, attribute });
    }

    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, shape, FLOAT, bytes);
    }

    fn integers(&mut self, name: &str, values: &[i64]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, &[values.len()], INT64, bytes);
    }

    fn has_initializer(&self, name: &str) -> bool {
        self.initializers.iter().any(|tensor| tensor.name.as_deref() == Some(name))
    }

    pub(super) fn initializer(&mut self, name: &str, shape: &[usize], data_type: i32, raw_data: Vec<u8>) {
        self.initializers.push(TensorProto {
            dims: shape.iter().map(|size| *size as i64).collect(),
            data_type: Some(data_type),
            name: Some(name.to_owned()),
            raw_data: Some(raw_data),
        });
    }
}

/// Returns the argument of `Reshape` for a batch of any size: `[-1, dims…]`, or `[dims…]` for a table.
fn onnx_shape(shape: &Shape) -> Vec<i64> {
    let batch = (!shape.is_table()).then_some(-1);
    batch.into_iter().chain(shape.dims.iter().map(|size| *size as i64)).collect()
}

/// Returns the attributes of a convolution or pooling.
pub(crate) fn window_attributes(window: Window<'_>) -> Vec<AttributeProto> {
    let Window { kernel, stride, padding } = window;
    let to_ints = |sizes: &[usize]| sizes.iter().map(|size| *size as i64).collect::<Vec<_>>();
    let both_sides = [padding, padding].concat();
    vec![ints("kernel_shape", &to_ints(kernel)), ints("strides", &to_ints(stride)), ints("pads", &to_ints(&both_sides))]
}

/// Returns an integer attribute.
pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

/// Returns an attribute with a list of integers.
pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

/// Returns a text attribute.
pub(crate) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.into()), ..attribute(name, AttributeType::String) }
}

/// Returns a float attribute.
pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..AttributeProto::default() }
}
