//! [`Linear`]: a fully connected layer.

use crate::onnx::writer::{NodeWriter, int};
use crate::operands::Operands;
use crate::operation::{Layer, Operation, TensorSpec};
use crate::shape::check_param;
use crate::{Init, Role, Shape, ShapeError};
use serde::Serialize;

/// A fully connected layer: `x Wᵀ + b`.
///
/// # Shapes
/// - input: `[M, in]`
/// - `weight`: `[out, in]`; `bias`: `[out]`
/// - result: `[M, out]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Linear;

/// The parameters of a fully connected layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearParams {
    /// The size of the result.
    pub out_features: usize,
    /// The initial weight; the initial bias is 0.
    pub init: Init,
}

impl Layer for LinearParams {
    type Op = Linear;

    fn resolve(self, inputs: &[&Shape]) -> Result<(Linear, Vec<TensorSpec>), ShapeError> {
        let Self { out_features, init } = self;
        let [x] = inputs else { return Err(ShapeError::Inputs { expected: 1, found: inputs.len() }) };
        let shape = vec![out_features, x.channels()?];
        let weight = TensorSpec { slot: "weight", shape, role: Role::Weight, init };
        let (shape, init) = (vec![out_features], Init::Constant(0.0));
        let bias = TensorSpec { slot: "bias", shape, role: Role::Bias, init };
        Ok((Linear, vec![weight, bias]))
    }
}

impl Operation for Linear {
    fn slots(&self) -> &'static [&'static str] {
        &["weight", "bias"]
    }

    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let (weight, bias) = (operands.param("weight")?, operands.param("bias")?);
        let [features] = *x.dims.as_slice() else { return Err(x.wrong_rank(1)) };
        let out = weight.shape.first().copied().unwrap_or(0);
        check_param(weight, &[out, features])?;
        check_param(bias, &[out])?;
        Ok(x.with_dims(vec![out]))
    }

    fn macs(&self, operands: &Operands<'_>, output: &Shape) -> u64 {
        let features: usize = operands.optional("weight").map_or(0, |weight| weight.shape.iter().skip(1).product());
        (output.values_per_sample() as u64).saturating_mul(features as u64)
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs_and_params();
        writer.result("Gemm", inputs, vec![int("transB", 1)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::global_avg_pool::GlobalAvgPool;
    use crate::tests::{check_error, check_shape};

    const THREE: LinearParams = LinearParams { out_features: 3, init: Init::Constant(0.0) };

    #[test]
    fn the_input_is_a_row_of_features() {
        check_shape(
            |g, x| {
                let x = g.node("a", x, GlobalAvgPool)?;
                g.node("l", x, THREE)
            },
            8,
            &[3],
        );
        check_error(|g, x| g.node("l", x, THREE), "expected 1 axis after the batch, found [4, 9, 12]");
    }
}
