//! [`SegmentMean`]: from single frames to clips.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int, ints};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// The mean over the frames of a sample: the consensus of TSN.
///
/// # Shapes
/// - input: `[N * T, C]`
/// - result: `[N, C]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentMean;

impl Operation for SegmentMean {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let [channels] = *x.dims.as_slice() else { return Err(x.wrong_rank(1)) };
        Ok(Shape { per_sample: 1, dims: vec![channels] })
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let rows = rule.input(0)[0].clone();
        rule.pin(&rows);
        let channels = rule.channels_only(0, 1);
        rule.with_channels(1, channels)
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let by_sample = writer.input_by_sample("by_sample");
        writer.result("ReduceMean", vec![by_sample], vec![ints("axes", &[1]), int("keepdims", 0)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::global_avg_pool::GlobalAvgPool;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn frames_become_one_row() {
        check_shape(
            |g, x| {
                let x = g.node("a", x, GlobalAvgPool)?;
                g.node("m", x, SegmentMean)
            },
            1,
            &[4],
        );
        check_error(|g, x| g.node("m", x, SegmentMean), "expected 1 axis after the batch, found [4, 9, 12]");
    }
}
