//! [`Relu`]: `max(x, 0)`.

use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Rectified linear unit: `max(x, 0)`, value by value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Relu;

impl Operation for Relu {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        Ok(x.clone())
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs();
        writer.result("Relu", inputs, Vec::new());
    }
}
