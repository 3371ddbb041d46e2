//! [`Pad`]: zeros at the end of axes.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Appends zeros to axes, for example to a multiple of a window.
///
/// # Shapes
/// - input: `[M, A₀, A₁, …]`
/// - result: `[M, A₀ + after[0], A₁ + after[1], …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pad {
    /// The number of zeros at the end of each axis after the batch.
    pub after: Vec<usize>,
}

impl Operation for Pad {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        if self.after.len() != x.dims.len() {
            return Err(x.wrong_rank(self.after.len()));
        }
        Ok(x.with_dims(x.dims.iter().zip(&self.after).map(|(size, after)| size.saturating_add(*after)).collect()))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.changed_axes(|axis| self.after[axis] > 0)
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn keeps_values(&self) -> bool {
        true
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let before = vec![0; self.after.len() + 2];
        let pads: Vec<i64> = before.into_iter().chain(self.after.iter().map(|after| *after as i64)).collect();
        let mut inputs = writer.inputs();
        inputs.push(writer.constant_i64("pads", &pads));
        writer.result("Pad", inputs, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn axes_grow_at_their_end() {
        check_shape(|g, x| g.node("p", x, Pad { after: vec![0, 5, 2] }), 8, &[4, 14, 14]);
        check_error(|g, x| g.node("p", x, Pad { after: vec![1] }), "expected 1 axis after the batch, found [4, 9, 12]");
        check_error(|g, x| g.node("p", x, Pad { after: vec![0, 0, usize::MAX] }), "more than 2147483648 values");
    }
}
