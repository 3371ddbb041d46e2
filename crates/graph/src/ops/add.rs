//! [`Add`]: a residual sum.

use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// The sum of two values of the same shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Add;

impl Operation for Add {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [left, right] = operands.inputs()?;
        if left != right {
            return Err(ShapeError::Unequal { left: left.axes(), right: right.axes() });
        }
        Ok(left.clone())
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs();
        writer.result("Add", inputs, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn both_inputs_have_the_same_shape() {
        check_shape(|g, x| g.node("s", [x, x], Add), 8, &[4, 9, 12]);
        check_error(|g, x| g.node("s", [x, g.input()], Add), "can't add [8, 4, 9, 12] and [1, 4, 8, 9, 12]");
        check_error(|g, x| g.node("s", x, Add), "expected 2 inputs, found 1");
    }
}
