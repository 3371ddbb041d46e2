//! [`Mean`]: the mean over chosen axes.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int, ints};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// The mean over some axes of each row of the batch.
///
/// # Shapes
/// - input: `[M, …]`
/// - result: `[M, …]` without these axes, or with size 1 in their place
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mean {
    /// The axes, counted from 0 after the batch, in ascending order.
    pub axes: Vec<usize>,
    /// Whether the axes stay, with size 1.
    pub keepdims: bool,
}

impl Operation for Mean {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let ascending = self.axes.windows(2).all(|pair| pair[0] < pair[1]);
        match self.axes.last() {
            Some(last) if ascending && *last < x.dims.len() => {}
            Some(last) => return Err(x.wrong_rank(last.saturating_add(1))),
            None => return Err(ShapeError::Zero { what: "the number of axes" }),
        }
        let keep = |(axis, size): (usize, &usize)| match (self.axes.contains(&axis), self.keepdims) {
            (false, _) => Some(*size),
            (true, true) => Some(1),
            (true, false) => None,
        };
        Ok(x.with_dims(x.dims.iter().enumerate().filter_map(keep).collect()))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let x = rule.input(0);
        self.axes.iter().for_each(|axis| rule.pin(&x[axis + 1]));
        let kept = |(axis, labels): (usize, Axis)| match axis > 0 && self.axes.contains(&(axis - 1)) {
            true if self.keepdims => Some(Axis::Whole(1)),
            true => None,
            false => Some(labels),
        };
        x.into_iter().enumerate().filter_map(kept).collect()
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let axes: Vec<i64> = self.axes.iter().map(|axis| *axis as i64 + 1).collect();
        let inputs = writer.inputs();
        writer.result("ReduceMean", inputs, vec![ints("axes", &axes), int("keepdims", i64::from(self.keepdims))]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn axes_go_or_stay_with_size_1() {
        let mean = |axes: &[usize], keepdims| Mean { axes: axes.to_vec(), keepdims };
        check_shape(|g, x| g.node("m", x, mean(&[1, 2], true)), 8, &[4, 1, 1]);
        check_shape(|g, x| g.node("m", x, mean(&[0], false)), 8, &[9, 12]);
        check_error(|g, x| g.node("m", x, mean(&[1, 3], false)), "expected 4 axes after the batch, found [4, 9, 12]");
        check_error(|g, x| g.node("m", x, mean(&[], false)), "the number of axes is 0");
    }
}
