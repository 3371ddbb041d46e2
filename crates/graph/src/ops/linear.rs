//! [`Linear`]: a fully connected layer.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int};
use crate::operands::Operands;
use crate::operation::{Layer, Operation, TensorSpec};
use crate::shape::check_param;
use crate::{Init, Role, Shape, ShapeError};
use serde::Serialize;

/// A fully connected layer on the last axis: `x Wᵀ + b`.
///
/// # Shapes
/// - input: `[M, …, in]`
/// - `weight`: `[out, in]`; `bias` (optional): `[out]`
/// - result: `[M, …, out]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Linear;

/// The parameters of a fully connected layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearParams {
    /// The size of the result.
    pub out_features: usize,
    /// The initial weight; the initial bias is 0.
    pub init: Init,
    /// Whether a bias is added to the result.
    pub bias: bool,
}

impl Layer for LinearParams {
    type Op = Linear;

    fn resolve(self, inputs: &[&Shape]) -> Result<(Linear, Vec<TensorSpec>), ShapeError> {
        let Self { out_features, init, bias } = self;
        let [x] = inputs else { return Err(ShapeError::Inputs { expected: 1, found: inputs.len() }) };
        let features = *x.dims.last().ok_or_else(|| x.wrong_rank(1))?;
        let shape = vec![out_features, features];
        let mut tensors = vec![TensorSpec { slot: "weight", shape, role: Role::Weight, init }];
        if bias {
            let (shape, init) = (vec![out_features], Init::Constant(0.0));
            tensors.push(TensorSpec { slot: "bias", shape, role: Role::Bias, init });
        }
        Ok((Linear, tensors))
    }
}

impl Operation for Linear {
    fn slots(&self) -> &'static [&'static str] {
        &["weight", "bias"]
    }

    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let weight = operands.param("weight")?;
        let [leading @ .., features] = x.dims.as_slice() else { return Err(x.wrong_rank(1)) };
        let out = weight.shape.first().copied().unwrap_or(0);
        check_param(weight, &[out, *features])?;
        if let Some(bias) = operands.optional("bias") {
            check_param(bias, &[out])?;
        }
        Ok(x.with_dims([leading, &[out]].concat()))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let mut axes = rule.input(0);
        let last = axes.len() - 1;
        let result = rule.labels.fresh(rule.shape.dims[last - 1]);
        rule.labels.set_output(rule.id, &result);
        let read = std::mem::replace(&mut axes[last], result.clone());
        rule.set_weight(&result, &read);
        axes
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, operands: &Operands<'_>, output: &Shape) -> u64 {
        let features: usize = operands.optional("weight").map_or(0, |weight| weight.shape.iter().skip(1).product());
        (output.values_per_sample() as u64).saturating_mul(features as u64)
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs_and_params();
        if writer.input_shape().dims.len() == 1 {
            return writer.result("Gemm", inputs, vec![int("transB", 1)]);
        }
        // `Gemm` takes matrices only. Engines transpose the constant weight once, when they load the file.
        let [x, _, bias @ ..] = inputs.as_slice() else { return };
        let weight = writer.transposed_weight();
        let operands = vec![x.clone(), weight];
        match bias {
            [] => writer.result("MatMul", operands, Vec::new()),
            [bias, ..] => {
                let product = writer.step("product", "MatMul", operands, Vec::new());
                writer.result("Add", vec![product, bias.clone()], Vec::new());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::global_avg_pool::GlobalAvgPool;
    use crate::tests::check_shape;

    const THREE: LinearParams = LinearParams { out_features: 3, init: Init::Constant(0.0), bias: true };

    #[test]
    fn the_last_axis_changes() {
        check_shape(
            |g, x| {
                let x = g.node("a", x, GlobalAvgPool)?;
                g.node("l", x, THREE)
            },
            8,
            &[3],
        );
        check_shape(|g, x| g.node("l", x, LinearParams { bias: false, ..THREE }), 8, &[4, 9, 3]);
    }
}
