//! [`Form`]: the numbers of an ONNX file. Its weights have 32, 16 or 8 bits, and with 8 bits, values are rounded as well.

use super::proto::{BFLOAT16, FLOAT, FLOAT16, INT8, INT32, UINT8};
use super::writer::{Nodes, int};
use crate::passes::{Quantization, QuantizedWeight, ValueScale, quantize_bias, quantize_weight};
use crate::{Graph, Node, NodeId, Op, Param};
use half::{bf16, f16};
use std::collections::{BTreeMap, BTreeSet};

/// The numbers of an ONNX file.
#[derive(Debug, Clone, Copy)]
pub enum Form<'a> {
    /// 32-bit floating point.
    Float32,
    /// Trained weights have 16 bits. `Cast` converts them when an engine loads the file, which computes with 32 bits.
    Half(HalfType),
    /// Layers of the plan have 8-bit weights with a scale for each filter, and read 8-bit values: pairs of `QuantizeLinear` and
    /// `DequantizeLinear`, which engines replace by integer arithmetic.
    Int8(&'a Quantization),
}

/// A floating-point number of 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfType {
    /// 5 bits of exponent, up to 65,504.
    Float16,
    /// The exponent of 32-bit numbers, and 8 bits of precision.
    BFloat16,
}

/// Returns the name of a weight in the order `[in, out]`.
pub(super) fn transposed_name(weight: &str) -> String {
    format!("{weight}/transposed")
}

impl Form<'_> {
    /// Writes the tensors, in the order of their names in `tensors`' graph.
    pub(super) fn write_tensors(&self, file: &mut Nodes, graph: &Graph, tensors: &BTreeMap<&str, Vec<f32>>) {
        let mut rounded: BTreeSet<&str> = BTreeSet::new();
        if let Self::Int8(quantization) = self {
            for id in &quantization.plan.layers {
                rounded.extend(write_layer(file, graph, *id, quantization, tensors));
            }
        }
        for param in &graph.params {
            let Some(values) = tensors.get(param.name.as_str()).filter(|_| !rounded.contains(param.name.as_str()))
            else {
                continue;
            };
            match self {
                Self::Half(half) if param.shape.len() > 1 => write_half(file, param, values, *half),
                Self::Float32 | Self::Half(_) | Self::Int8(_) => file.floats(&param.name, &param.shape, values),
            }
        }
    }

    /// Writes the rounding of a node's value, if it is rounded.
    pub(super) fn write_rounding(&self, file: &mut Nodes, id: NodeId, value: &str) {
        let Self::Int8(quantization) = self else { return };
        let Some(ValueScale { scale, zero_point }) = quantization.scale(id) else { return };
        let [scale_name, zero, rounded] =
            ["rounding_scale", "zero_point", "quantized"].map(|suffix| format!("{value}/{suffix}"));
        file.floats(&scale_name, &[], &[scale]);
        // The zero point fits: it is 0, or 0 to 255.
        let zero_type = if quantization.symmetric { INT8 } else { UINT8 };
        file.initializer(&zero, &[], zero_type, vec![zero_point as u8]);
        let inputs = |x: &str| vec![x.to_owned(), scale_name.clone(), zero.clone()];
        file.push(&rounded, "QuantizeLinear", inputs(value), rounded.clone(), Vec::new());
        let name = self.read_name(id, value.to_owned());
        file.push(&name, "DequantizeLinear", inputs(&rounded), name.clone(), Vec::new());
    }

    /// Returns the name under which other nodes read the value of a node.
    pub(super) fn read_name(&self, id: NodeId, value: String) -> String {
        match self {
            Self::Int8(quantization) if quantization.scale(id).is_some() => format!("{value}/dequantized"),
            Self::Float32 | Self::Half(_) | Self::Int8(_) => value,
        }
    }

    /// Returns whether a layer has 8-bit weights.
    pub(super) fn is_quantized(&self, id: NodeId) -> bool {
        match self {
            Self::Int8(quantization) => quantization.plan.layers.contains(&id),
            Self::Float32 | Self::Half(_) => false,
        }
    }
}

/// Writes a tensor in 16 bits, and a conversion to the tensor of 32 bits that nodes read.
fn write_half(file: &mut Nodes, param: &Param, values: &[f32], half: HalfType) {
    let (data_type, suffix) = match half {
        HalfType::Float16 => (FLOAT16, "float16"),
        HalfType::BFloat16 => (BFLOAT16, "bfloat16"),
    };
    let bits = |value: &f32| match half {
        HalfType::Float16 => f16::from_f32(*value).to_bits(),
        HalfType::BFloat16 => bf16::from_f32(*value).to_bits(),
    };
    let name = format!("{}/{suffix}", param.name);
    file.initializer(
        &name,
        &param.shape,
        data_type,
        values.iter().flat_map(|value| bits(value).to_le_bytes()).collect(),
    );
    let to_float = vec![int("to", i64::from(FLOAT))];
    file.push(&format!("{}/cast", param.name), "Cast", vec![name], param.name.clone(), to_float);
}

/// Writes the tensors of a layer with 8-bit weights, and returns their names.
fn write_layer<'a>(
    file: &mut Nodes,
    graph: &'a Graph,
    id: NodeId,
    quantization: &Quantization,
    tensors: &BTreeMap<&str, Vec<f32>>,
) -> Vec<&'a str> {
    let node = &graph.nodes[id.0];
    let param = |slot: &str| node.param(slot).map(|id| &graph.params[id.0]);
    let values = |param: &Param| tensors.get(param.name.as_str()).map(Vec::as_slice);
    let (Some(weight), Some(input)) = (param("weight"), quantization.scale(graph.computed_by(node.inputs[0]))) else {
        return Vec::new();
    };
    let Some(weights) = values(weight) else { return Vec::new() };
    // After a product of matrices, the bias is added in floating point.
    let bias = param("bias").filter(|_| !is_matrix_product(graph, node));
    let biases = bias.and_then(values);
    let rounded = quantize_weight(weights, weight.shape[0], biases, input, quantization.weight_limit());
    if let (Some(bias), Some(biases)) = (bias, biases) {
        let (biases, scales) = quantize_bias(biases, input, &rounded.scales);
        let bytes = biases.iter().flat_map(|bias| bias.to_le_bytes()).collect();
        write_dequantized(file, &bias.name, &bias.shape, 0, INT32, bytes, &scales);
    }
    write_weight(file, graph, node, weight, &rounded);
    [Some(weight), bias].into_iter().flatten().map(|param| param.name.as_str()).collect()
}

/// Returns whether a layer is written as `MatMul`.
fn is_matrix_product(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Linear(_)) && graph.nodes[node.inputs[0].0].shape.dims.len() > 1
}

fn write_weight(file: &mut Nodes, graph: &Graph, node: &Node, weight: &Param, rounded: &QuantizedWeight) {
    let bytes = |values: &mut dyn Iterator<Item = i8>| values.map(|value| value as u8).collect();
    if !is_matrix_product(graph, node) {
        let bytes = bytes(&mut rounded.values.iter().copied());
        return write_dequantized(file, &weight.name, &weight.shape, 0, INT8, bytes, &rounded.scales);
    }
    let [out, features] = [weight.shape[0], weight.shape[1]];
    let transposed = (0..features * out).map(|at| rounded.values[at % out * features + at / out]);
    let bytes = bytes(&mut { transposed });
    write_dequantized(file, &transposed_name(&weight.name), &[features, out], 1, INT8, bytes, &rounded.scales);
}

/// Writes integers, and `DequantizeLinear` with a scale for each position of an axis. The value has the name `name`.
fn write_dequantized(
    file: &mut Nodes,
    name: &str,
    shape: &[usize],
    axis: usize,
    data_type: i32,
    bytes: Vec<u8>,
    scales: &[f32],
) {
    let [rounded, scale, zero] = ["quantized", "rounding_scale", "zero_point"].map(|suffix| format!("{name}/{suffix}"));
    let zeros = vec![0; scales.len() * if data_type == INT32 { 4 } else { 1 }];
    file.initializer(&rounded, shape, data_type, bytes);
    file.floats(&scale, &[scales.len()], scales);
    file.initializer(&zero, &[scales.len()], data_type, zeros);
    let attributes = vec![int("axis", axis as i64)];
    file.push(
        &format!("{name}/dequantize"),
        "DequantizeLinear",
        vec![rounded, scale, zero],
        name.to_owned(),
        attributes,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::ModelProto;
    use crate::onnx::write_as;
    use crate::passes::{QuantizeOptions, QuantizePlan, fold_batch_norm};
    use crate::tests::tiny;
    use prost::Message;

    fn values(graph: &Graph) -> BTreeMap<String, Vec<f32>> {
        let ramp = |param: &Param| (0..param.len()).map(|index| index as f32 / param.len() as f32 + 0.1).collect();
        graph.params.iter().map(|param| (param.name.clone(), ramp(param))).collect()
    }

    fn model(graph: &Graph, values: &BTreeMap<String, Vec<f32>>, form: &Form<'_>) -> ModelProto {
        let tensor = |param: &Param| values.get(&param.name).cloned();
        let bytes = write_as(graph, tensor, &BTreeMap::new(), form).expect("the graph is written");
        ModelProto::decode(bytes.as_slice()).expect("the bytes are a model")
    }

    #[test]
    fn layers_read_rounded_values_and_weights() {
        let (graph, values) = fold_batch_norm(&tiny(), &values(&tiny())).expect("it folds");
        let plan = QuantizePlan::new(&graph, &QuantizeOptions::default()).expect("layers");
        let named =
            |ids: &mut dyn Iterator<Item = NodeId>| ids.map(|id| graph.nodes[id.0].name.clone()).collect::<Vec<_>>();
        assert_eq!(named(&mut plan.layers.iter().copied()), ["conv1", "fc"]);
        // The input of the convolution, its result after the activation, and the input of the classifier.
        assert_eq!(named(&mut plan.values.iter().copied()), ["frames", "relu", "consensus"]);
        let ranges = plan.measured().map(|id| (id, (0.0, 25.5))).collect();
        let quantization = Quantization::new(plan, &ranges, false, false);
        let file = model(&graph, &values, &Form::Int8(&quantization)).graph.expect("a graph");
        let node = |name: &str| file.node.iter().find(|node| node.name.as_deref() == Some(name)).expect(name).clone();
        assert_eq!(node("conv1").input, ["frames/dequantized", "conv1.weight", "conv1.bias"]);
        assert_eq!(node("relu").input[0], "conv1");
        assert_eq!(node("relu/quantized").input, ["relu", "relu/rounding_scale", "relu/zero_point"]);
        assert_eq!(node("shift/by_sample").input[0], "relu/dequantized");
        assert_eq!(node("fc").input, ["consensus/dequantized", "fc.weight", "fc.bias"]);
        let tensor = |name: &str| {
            let tensor = file.initializer.iter().find(|tensor| tensor.name.as_deref() == Some(name)).expect(name);
            (tensor.data_type.unwrap_or(0), tensor.dims.clone(), tensor.raw_data.as_ref().map_or(0, Vec::len))
        };
        assert_eq!(tensor("conv1.weight/quantized"), (INT8, vec![2, 1, 3, 3], 18));
        assert_eq!(tensor("conv1.bias/quantized"), (INT32, vec![2], 8));
        assert_eq!(tensor("relu/zero_point"), (UINT8, vec![], 1));
        assert!(!file.initializer.iter().any(|tensor| tensor.name.as_deref() == Some("conv1.weight")));
    }

    #[test]
    fn layers_can_stay_in_floating_point() {
        let check = |options: QuantizeOptions, layers: &[&str], float: &[(&str, &str)]| {
            let graph = tiny();
            let plan = QuantizePlan::new(&graph, &options).expect("layers");
            let found: Vec<&str> = plan.layers.iter().map(|id| graph.nodes[id.0].name.as_str()).collect();
            assert_eq!(found, layers);
            let found: Vec<(&str, &str)> = plan.float.iter().map(|(name, reason)| (name.as_str(), *reason)).collect();
            assert_eq!(found, float);
        };
        let options = QuantizeOptions::default;
        check(QuantizeOptions { skip_first: true, ..options() }, &["fc"], &[("conv1", "it is the first layer")]);
        check(QuantizeOptions { skip_last: true, ..options() }, &["conv1"], &[("fc", "it is the classifier")]);
        let skip = vec!["conv1".to_owned()];
        check(QuantizeOptions { skip, ..options() }, &["fc"], &[("conv1", "a parameter says so")]);
        let error = |options| QuantizePlan::new(&tiny(), &options).expect_err("an error").to_string();
        let all = error(QuantizeOptions { skip_first: true, skip_last: true, ..options() });
        let expect = "nothing can be quantised: `conv1` stays, because it is the first layer; `fc` stays, because it is the classifier";
        assert_eq!(all, expect);
        let unknown = error(QuantizeOptions { skip: vec!["relu".into()], ..options() });
        assert_eq!(unknown, "`relu` is not the name of a convolution or linear layer");
    }

    #[test]
    fn half_precision_applies_to_weights() {
        let values = values(&tiny());
        for (half, data_type, suffix) in
            [(HalfType::Float16, FLOAT16, "float16"), (HalfType::BFloat16, BFLOAT16, "bfloat16")]
        {
            let file = model(&tiny(), &values, &Form::Half(half)).graph.expect("a graph");
            let weight = file.initializer.iter().find(|tensor| tensor.name == Some(format!("fc.weight/{suffix}")));
            let weight = weight.expect("the weight");
            assert_eq!((weight.data_type, weight.raw_data.as_ref().map(Vec::len)), (Some(data_type), Some(20)));
            let cast = file.node.iter().find(|node| node.name.as_deref() == Some("fc.weight/cast")).expect("a cast");
            assert_eq!(cast.output, ["fc.weight"]);
            assert!(file.initializer.iter().any(|tensor| tensor.name.as_deref() == Some("fc.bias")));
        }
    }
}
