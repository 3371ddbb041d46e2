//! [`Table`]: a tensor as a value, such as position embeddings or a class token.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::{Layer, Operation, TensorSpec};
use crate::{Init, Role, Shape, ShapeError};
use serde::Serialize;

/// A tensor as a value that is the same for all samples. Its node and the tensor have the same name.
///
/// # Shapes
/// - the tensor and the result: `[…]`, without a batch axis
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table;

/// The tensor of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableParams {
    /// The sizes of all axes.
    pub shape: Vec<usize>,
    /// `Role::Buffer` for a constant.
    pub role: Role,
    /// The initial values.
    pub init: Init,
}

impl TableParams {
    /// Returns a trained table that starts with zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), role: Role::Weight, init: Init::Constant(0.0) }
    }
}

impl Layer for TableParams {
    type Op = Table;

    fn resolve(self, _inputs: &[&Shape]) -> Result<(Table, Vec<TensorSpec>), ShapeError> {
        let Self { shape, role, init } = self;
        Ok((Table, vec![TensorSpec { slot: "", shape, role, init }]))
    }
}

impl Operation for Table {
    fn slots(&self) -> &'static [&'static str] {
        &[""]
    }

    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [] = operands.inputs()?;
        Ok(Shape::table(operands.param("")?.shape.clone()))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let axes: Vec<Axis> = rule.shape.dims.iter().map(|size| rule.labels.fresh(*size)).collect();
        for (_, param) in &rule.params {
            rule.labels.set_param(*param, axes.clone());
        }
        std::iter::once(Axis::Whole(0)).chain(axes).collect()
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    /// Writes nothing: the tensor is an initializer of the file, and other nodes read it by its name.
    fn write_onnx(&self, _writer: &mut NodeWriter<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::relu::Relu;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn a_table_has_no_batch_axis() {
        check_shape(|g, _| g.node("t", [], TableParams::zeros(&[3, 4])), 0, &[3, 4]);
        check_error(|g, x| g.node("t", x, TableParams::zeros(&[3])), "expected 0 inputs, found 1");
        check_error(|g, _| g.node("t", [], TableParams::zeros(&[3, 0])), "an axis is 0");
        let relu = |g: &mut crate::Builder, _| {
            let t = g.node("t", [], TableParams::zeros(&[3]))?;
            g.node("r", t, Relu)
        };
        check_error(relu, "a table of [3] can't be used here, it has no batch axis");
    }
}
