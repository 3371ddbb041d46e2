//! [`Permute`]: the same values with another order of axes.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, ints};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Changes the order of the axes after the batch.
///
/// # Shapes
/// - input: `[M, A₀, A₁, …]`, or a table
/// - result: `[M, A_axes[0], A_axes[1], …]`, or a table
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Permute {
    /// The axis of the input for each axis of the result, counted from 0 after the batch.
    pub axes: Vec<usize>,
}

impl Operation for Permute {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs_or_tables()?;
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.dims.len()) {
            return Err(ShapeError::Axes { axes: self.axes.clone(), found: x.axes() });
        }
        Ok(x.with_dims(self.axes.iter().map(|axis| x.dims[*axis]).collect()))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let x = rule.input(0);
        std::iter::once(x[0].clone()).chain(self.axes.iter().map(|axis| x[axis + 1].clone())).collect()
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn keeps_values(&self) -> bool {
        true
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let batch = writer.shape().batch_axes();
        let axes: Vec<i64> =
            (0..batch).chain(self.axes.iter().map(|axis| axis + batch)).map(|axis| axis as i64).collect();
        let inputs = writer.inputs();
        writer.result("Transpose", inputs, vec![ints("perm", &axes)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn axes_change_places() {
        check_shape(|g, x| g.node("p", x, Permute { axes: vec![1, 2, 0] }), 8, &[9, 12, 4]);
        for axes in [vec![0, 1], vec![0, 1, 1], vec![0, 1, 3], vec![]] {
            let expect = format!("{axes:?} is not an order of the axes of [8, 4, 9, 12]");
            check_error(|g, x| g.node("p", x, Permute { axes }), &expect);
        }
    }
}
