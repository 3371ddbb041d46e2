//! [`Attention`]: scaled dot-product attention with several heads.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int, ints};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::shape::check_range;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Scaled dot-product attention (Vaswani et al. 2017): `softmax(scale q kᵀ + biases) v` for each head.
///
/// The heads are equal parts of the last axis. Axes between the batch and the tokens are sequences of their own, such as windows.
///
/// # Shapes
/// - inputs: queries `[M, …, Q, D]`; keys `[M, …, K, D]`; values `[M, …, K, V]`; then any number of biases, values or tables, whose
///   axes are repeated to `[…, heads, Q, K]`
/// - result: `[M, …, Q, V]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attention {
    /// The number of heads; a divisor of `D` and `V`.
    pub heads: usize,
    /// The factor of the products; `None` is `(D / heads)^-0.5`.
    pub scale: Option<f64>,
}

impl Attention {
    /// Returns the factor of the products for queries of `channels` channels.
    pub fn scale(&self, channels: usize) -> f64 {
        self.scale.unwrap_or_else(|| ((channels / self.heads.max(1)) as f64).powf(-0.5))
    }
}

impl Operation for Attention {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [query, key, value, biases @ ..] = operands.inputs.as_slice() else {
            return Err(ShapeError::Inputs { expected: 3, found: operands.inputs.len() });
        };
        let error = |what, other: &Shape| ShapeError::Attention {
            heads: self.heads,
            query: query.axes(),
            key: key.axes(),
            what,
            other: other.axes(),
        };
        let ([sequences, q], [key_sequences, k], [value_sequences, v]) = (split(query)?, split(key)?, split(value)?);
        let same_sequences = sequences == key_sequences && sequences == value_sequences;
        let same_rows = [key, value].iter().all(|other| other.per_sample == query.per_sample) && !query.is_table();
        let splits = |channels: usize| self.heads > 0 && channels.is_multiple_of(self.heads);
        if !(same_sequences && same_rows && q[1] == k[1] && k[0] == v[0] && splits(q[1]) && splits(v[1])) {
            return Err(error("values", value));
        }
        let scale = self.scale(q[1]);
        check_range("scale", scale, scale > 0.0, "above 0")?;
        let logits = query.with_dims([sequences, &[self.heads, q[0], k[0]]].concat());
        match biases.iter().find(|bias| !fits_logits(bias, &logits)) {
            Some(bias) => Err(error("a bias", bias)),
            None => Ok(query.with_dims([sequences, &[q[0], v[1]]].concat())),
        }
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        // A head of the queries, keys, values and biases is kept or removed as a whole.
        let (heads, last) = (self.heads, rule.last_axis(0));
        let by_head: Vec<Axis> = (0..3)
            .map(|input| {
                let channels = rule.channels_only(input, last);
                rule.heads(&channels, heads)
            })
            .collect();
        for input in 1..3 {
            rule.unite(&by_head[0], &by_head[input]);
            let rows = [rule.input(0)[0].clone(), rule.input(input)[0].clone()];
            rule.unite(&rows[0], &rows[1]);
        }
        for bias in 3..rule.inputs.len() {
            let axes = rule.input(bias);
            let axis = axes.len().checked_sub(3).filter(|axis| *axis > 0 && axes[*axis].len() == heads);
            axes.iter().enumerate().filter(|(other, _)| Some(*other) != axis).for_each(|(_, other)| rule.pin(other));
            if let Some(axis) = axis {
                rule.unite(&by_head[0], &axes[axis]);
            }
        }
        let (rows, values) = (rule.input(0)[0].clone(), rule.input(2)[last].clone());
        rule.with_rows(rows, last, values)
    }

    fn keep_channels(&mut self, kept: &KeptChannels<'_>) {
        self.heads = kept.heads(self.heads);
    }

    fn macs(&self, operands: &Operands<'_>, output: &Shape) -> u64 {
        let [query, key, ..] = operands.inputs.as_slice() else { return 0 };
        let channels = |shape: &Shape| shape.dims.last().copied().unwrap_or(0) as u64;
        let num_keys = key.dims.iter().rev().nth(1).copied().unwrap_or(0) as u64;
        let num_queries = (output.values_per_sample() as u64).checked_div(channels(output)).unwrap_or(0);
        num_queries.saturating_mul(num_keys).saturating_mul(channels(query).saturating_add(channels(output)))
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let (names, shapes) = (writer.inputs(), writer.input_shapes());
        let ([q, k, v, biases @ ..], [query, key, value, ..]) = (names.as_slice(), shapes.as_slice()) else { return };
        let q = self.split_heads(writer, "q", q, query, [0, 1]);
        let k = self.split_heads(writer, "k", k, key, [1, 0]);
        let v = self.split_heads(writer, "v", v, value, [0, 1]);
        let scale = self.scale(query.dims.last().copied().unwrap_or(1));
        let scale = writer.constant_f32("scale", &[], &[scale as f32]);
        let products = writer.step("products", "MatMul", vec![q, k], Vec::new());
        let mut logits = writer.step("logits", "Mul", vec![products, scale], Vec::new());
        for (position, bias) in biases.iter().enumerate() {
            logits = writer.step(&format!("biased{position}"), "Add", vec![logits, bias.clone()], Vec::new());
        }
        let weights = writer.step("weights", "Softmax", vec![logits], vec![int("axis", -1)]);
        let heads = writer.step("heads", "MatMul", vec![weights, v], Vec::new());
        let axes = head_axes(query.dims.len(), [0, 1]);
        let joined = writer.step("joined", "Transpose", vec![heads], vec![ints("perm", &axes)]);
        writer.reshape_to_result(joined);
    }
}

impl Attention {
    /// Writes the steps from `[M, …, L, D]` to `[M, …, heads, L, d]`, or to another order of the last two axes.
    fn split_heads(
        &self,
        writer: &mut NodeWriter<'_>,
        name: &str,
        x: &str,
        shape: &Shape,
        order: [usize; 2],
    ) -> String {
        let Some((channels, tokens)) = shape.dims.split_last() else { return x.to_owned() };
        let split = shape.with_dims([tokens, &[self.heads, channels / self.heads]].concat());
        let split = writer.reshape(&format!("{name}/split"), x, &split);
        let axes = head_axes(shape.dims.len(), order);
        writer.step(name, "Transpose", vec![split], vec![ints("perm", &axes)])
    }
}

/// Returns the axes that swap tokens and heads of `[M, …, L, heads, d]`, where `rank` counts the axes of `[…, L, D]`; `order` is the one
/// of the last two axes afterwards.
fn head_axes(rank: usize, order: [usize; 2]) -> Vec<i64> {
    let sequences = 0..rank - 1;
    let last = order.map(|axis| [rank - 1, rank + 1][axis]);
    sequences.chain([rank, last[0], last[1]]).map(|axis| axis as i64).collect()
}

/// Returns the axes of sequences, and the numbers of tokens and channels.
fn split(shape: &Shape) -> Result<[&[usize]; 2], ShapeError> {
    let sequences = shape.dims.len().checked_sub(2).ok_or_else(|| shape.wrong_rank(2))?;
    let (sequences, last) = shape.dims.split_at(sequences);
    Ok([sequences, last])
}

/// Returns whether a bias can be added to logits. The axes of a table may be left out from the front; those of another value may not.
fn fits_logits(bias: &Shape, logits: &Shape) -> bool {
    let repeats = logits.with_table(&Shape::table(bias.dims.clone())).is_some();
    repeats && (bias.is_table() || (bias.per_sample == logits.per_sample && bias.dims.len() == logits.dims.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{reshape::Reshape, table::TableParams};
    use crate::tests::{check_error, check_shape};
    use crate::{Builder, GraphError, Init, NodeId, ops::linear::LinearParams};

    fn attention(g: &mut Builder, x: NodeId, heads: usize, bias: &[usize]) -> Result<NodeId, GraphError> {
        let bias = g.node("bias", [], TableParams::zeros(bias))?;
        g.node("a", [x, x, x, bias], Attention { heads, scale: None })
    }

    #[test]
    fn the_result_has_the_queries_tokens_and_the_values_channels() {
        for bias in [[4, 3, 9, 9].as_slice(), &[4, 1, 9, 9], &[3, 9, 9], &[9, 1], &[9]] {
            check_shape(|g, x| attention(g, x, 3, bias), 8, &[4, 9, 12]);
        }
        let cross = |g: &mut Builder, x: NodeId| {
            let keys = g.node("k", x, Reshape { per_sample: 8, dims: vec![36, 12] })?;
            let values = g.node("v", x, Reshape { per_sample: 8, dims: vec![36, 12] })?;
            let query = g.node("q", x, Reshape { per_sample: 8, dims: vec![36, 12] })?;
            g.node("a", [query, keys, values], Attention { heads: 4, scale: Some(1.0) })
        };
        check_shape(cross, 8, &[36, 12]);
    }

    #[test]
    fn operands_that_do_not_fit_are_errors() {
        let axes = "queries [8, 4, 9, 12], keys [8, 4, 9, 12]";
        check_error(|g, x| attention(g, x, 5, &[1]), &format!("5 heads does not fit {axes} and values [8, 4, 9, 12]"));
        check_error(|g, x| attention(g, x, 0, &[1]), &format!("0 heads does not fit {axes} and values [8, 4, 9, 12]"));
        check_error(
            |g, x| attention(g, x, 3, &[2, 9, 9]),
            &format!("3 heads does not fit {axes} and a bias [2, 9, 9]"),
        );
        check_error(|g, x| g.node("a", [x, x], Attention { heads: 1, scale: None }), "expected 3 inputs, found 2");
        let scale = Attention { heads: 1, scale: Some(f64::NAN) };
        check_error(|g, x| g.node("a", [x, x, x], scale), "scale is NaN, expected above 0");
    }

    #[test]
    fn products_of_queries_and_keys_and_sums_of_values_are_counted() {
        let mut g = Builder::new("test", crate::tests::CLIP).expect("a clip");
        let x = g.node("x", g.input(), Reshape { per_sample: 1, dims: vec![288, 12] }).expect("it fits");
        let x = g.node("a", [x, x, x], Attention { heads: 3, scale: None }).expect("it fits");
        let x = g.node("m", x, crate::ops::mean::Mean { axes: vec![0], keepdims: false }).expect("it fits");
        let params = LinearParams { out_features: 2, init: Init::Constant(0.0), bias: true };
        let x = g.node("fc", x, params).expect("it fits");
        let graph = g.finish(x, x).expect("logits");
        assert_eq!(graph.node_macs(&graph.nodes[2]), 2 * 288 * 288 * 12);
    }
}
