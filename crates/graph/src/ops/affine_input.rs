//! [`AffineInput`]: another normalisation of the pixels.

use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Scales each channel and adds an offset: `x * scale + offset`. Inception V3 of torchvision (`transform_input`) was trained on
/// pixels from -1 to 1, and this op converts pixels that were normalised with the constants of ImageNet.
///
/// # Shapes
/// - input and result: `[M, C, …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AffineInput {
    /// One factor per channel.
    pub scale: Vec<f64>,
    /// One term per channel.
    pub offset: Vec<f64>,
}

impl Operation for AffineInput {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let channels = x.channels()?;
        for values in [&self.scale, &self.offset] {
            if values.len() != channels {
                return Err(ShapeError::Inputs { expected: channels, found: values.len() });
            }
        }
        Ok(x.clone())
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let mut shape = vec![1; writer.input_shape().dims.len()];
        shape[0] = self.scale.len();
        let floats = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<_>>();
        let scale = writer.constant_f32("scale", &shape, &floats(&self.scale));
        let offset = writer.constant_f32("offset", &shape, &floats(&self.offset));
        let mut inputs = writer.inputs();
        inputs.push(scale);
        let scaled = writer.step("scaled", "Mul", inputs, Vec::new());
        writer.result("Add", vec![scaled, offset], Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn each_channel_has_a_factor_and_a_term() {
        check_shape(|g, x| g.node("a", x, AffineInput { scale: vec![2.0; 4], offset: vec![0.0; 4] }), 8, &[4, 9, 12]);
        let three = AffineInput { scale: vec![2.0; 3], offset: vec![0.0; 4] };
        check_error(|g, x| g.node("a", x, three), "expected 4 inputs, found 3");
    }
}
