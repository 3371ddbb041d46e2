//! [`FramesToBatch`]: from clips to single frames.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, ints};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Folds frames into the batch, so that 2-D ops see single frames.
///
/// # Shapes
/// - input: `[N, C, T, H, W]`
/// - result: `[N * T, C, H, W]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FramesToBatch;

impl Operation for FramesToBatch {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let [channels, frames, height, width] = *x.dims.as_slice() else { return Err(x.wrong_rank(4)) };
        if x.per_sample != 1 {
            return Err(ShapeError::Rows { expected: 1, found: x.per_sample });
        }
        Ok(Shape { per_sample: frames, dims: vec![channels, height, width] })
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let channels = rule.channels_only(0, 1);
        rule.with_channels(1, channels)
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn keeps_values(&self) -> bool {
        true
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs();
        let transposed = writer.step("transposed", "Transpose", inputs, vec![ints("perm", &[0, 2, 1, 3, 4])]);
        writer.reshape_to_result(transposed);
    }
}
