//! [`Gelu`]: an activation of transformers.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// `x Φ(x)`, where `Φ` is the distribution function of the standard normal distribution (Hendrycks and Gimpel 2016).
///
/// # Shapes
/// - input and result: `[M, …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gelu {
    /// Whether `Φ` is approximated by a tanh, as in ViViT; the results differ by up to 5e-4.
    pub tanh: bool,
}

impl Operation for Gelu {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        Ok(x.clone())
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.input(0)
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    /// Writes single steps, because ONNX has `Gelu` from opset 20 only: `x (1 + f) / 2` with `f = erf(x / √2)` or
    /// `f = tanh(√(2/π) (x + 0.044715 x³))`.
    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let [x] = writer.inputs().try_into().unwrap_or_default();
        let function = if self.tanh {
            let cubic = scalar(writer, "cubic", 0.044_715);
            let scale = scalar(writer, "scale", (2.0 / std::f64::consts::PI).sqrt());
            let square = writer.step("square", "Mul", vec![x.clone(), x.clone()], Vec::new());
            let term = writer.step("term", "Mul", vec![square, cubic], Vec::new());
            let cube = writer.step("cube", "Mul", vec![term, x.clone()], Vec::new());
            let sum = writer.step("sum", "Add", vec![x.clone(), cube], Vec::new());
            let scaled = writer.step("scaled", "Mul", vec![sum, scale], Vec::new());
            writer.step("tanh", "Tanh", vec![scaled], Vec::new())
        } else {
            let root = scalar(writer, "root", std::f64::consts::SQRT_2);
            let scaled = writer.step("scaled", "Div", vec![x.clone(), root], Vec::new());
            writer.step("erf", "Erf", vec![scaled], Vec::new())
        };
        let (one, half) = (scalar(writer, "one", 1.0), scalar(writer, "half", 0.5));
        let doubled = writer.step("doubled", "Add", vec![function, one], Vec::new());
        let product = writer.step("product", "Mul", vec![x, doubled], Vec::new());
        writer.result("Mul", vec![product, half], Vec::new());
    }
}

fn scalar(writer: &mut NodeWriter<'_>, suffix: &str, value: f64) -> String {
    writer.constant_f32(suffix, &[], &[value as f32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check_shape;

    #[test]
    fn the_shape_stays() {
        check_shape(|g, x| g.node("a", x, Gelu { tanh: true }), 8, &[4, 9, 12]);
    }
}
