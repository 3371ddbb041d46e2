//! [`Slice`]: a part of an axis.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Takes every `step`-th position of an axis, from `start` to before `end`.
///
/// # Shapes
/// - input: `[M, …, A, …]`, or a table
/// - result: `[M, …, ceil((end - start) / step), …]`, or a table
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Slice {
    /// The axis, counted from 0 after the batch.
    pub axis: usize,
    /// The first position.
    pub start: usize,
    /// The position after the last one; at most the size of the axis.
    pub end: usize,
    /// At least 1.
    pub step: usize,
}

impl Operation for Slice {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let Self { axis, start, end, step } = *self;
        let [x] = operands.inputs_or_tables()?;
        let size = *x.dims.get(axis).ok_or_else(|| x.wrong_rank(axis.saturating_add(1)))?;
        if start >= end || end > size {
            return Err(ShapeError::Slice { start, end, size });
        }
        if step == 0 {
            return Err(ShapeError::Zero { what: "the step" });
        }
        let mut dims = x.dims.clone();
        dims[axis] = (end - start).div_ceil(step);
        Ok(x.with_dims(dims))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let Self { start, end, step, .. } = *self;
        let axis = self.axis + 1;
        let mut x = rule.input(0);
        if step != 1 {
            rule.pin(&x[axis]);
        }
        x[axis] = match &x[axis] {
            Axis::Channels(channels) if step == 1 => Axis::Channels(channels[start..end].to_vec()),
            Axis::Channels(_) | Axis::Whole(_) => Axis::Whole((end - start).div_ceil(step)),
        };
        x
    }

    fn keep_channels(&mut self, kept: &KeptChannels<'_>) {
        let axis = self.axis + 1;
        if matches!(kept.input[axis], Axis::Channels(_)) && self.step == 1 {
            (self.start, self.end) = (kept.before(axis, self.start), kept.before(axis, self.end));
        }
    }

    fn keeps_values(&self) -> bool {
        true
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let axis = self.axis + writer.shape().batch_axes();
        let mut inputs = writer.inputs();
        for (suffix, value) in [("start", self.start), ("end", self.end), ("axis", axis), ("step", self.step)] {
            inputs.push(writer.constant_i64(suffix, &[value as i64]));
        }
        writer.result("Slice", inputs, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn positions_are_taken_by_step() {
        let slice = |axis, start, end, step| Slice { axis, start, end, step };
        check_shape(|g, x| g.node("s", x, slice(1, 1, 9, 3)), 8, &[4, 3, 12]);
        check_error(|g, x| g.node("s", x, slice(1, 0, 10, 1)), "a slice from 0 to 10 does not fit into an axis of 9");
        check_error(|g, x| g.node("s", x, slice(1, 3, 3, 1)), "a slice from 3 to 3 does not fit into an axis of 9");
        check_error(|g, x| g.node("s", x, slice(1, 0, 3, 0)), "the step is 0");
        check_error(|g, x| g.node("s", x, slice(3, 0, 1, 1)), "expected 4 axes after the batch, found [4, 9, 12]");
    }
}
