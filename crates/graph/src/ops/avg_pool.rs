//! [`AvgPool`]: the mean of windows.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int, window_attributes};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::shape::Window;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// The mean of windows over as many axes as `kernel` has entries: 2 or 3. Padding counts as zeros, which is PyTorch's default.
///
/// # Shapes
/// - input: `[M, C, …]`
/// - result: `[M, C, …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AvgPool {
    /// The size of a window, one entry per axis.
    pub kernel: Vec<usize>,
    /// One entry per axis.
    pub stride: Vec<usize>,
    /// Added on both sides, one entry per axis; at most half of the kernel.
    pub padding: Vec<usize>,
}

impl AvgPool {
    fn window(&self) -> Window<'_> {
        Window { kernel: &self.kernel, stride: &self.stride, padding: &self.padding }
    }
}

impl Operation for AvgPool {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let window = self.window();
        window.check_pool_padding()?;
        window.slide(x, x.channels()?)
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.same_channels()
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let mut attributes = window_attributes(self.window());
        // The default of ONNX leaves padding out of the mean.
        attributes.push(int("count_include_pad", 1));
        let inputs = writer.inputs();
        writer.result("AveragePool", inputs, attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    fn pool(kernel: usize, padding: usize) -> AvgPool {
        AvgPool { kernel: vec![kernel; 2], stride: vec![1; 2], padding: vec![padding; 2] }
    }

    #[test]
    fn padding_is_at_most_half_of_the_window() {
        check_shape(|g, x| g.node("p", x, pool(3, 1)), 8, &[4, 9, 12]);
        check_error(|g, x| g.node("p", x, pool(2, 2)), "padding of 2 is more than half of the window of 2");
    }
}
