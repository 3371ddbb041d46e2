//! [`FrameSelect`]: some frames of a clip.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Takes some frames of a clip, as the slow pathway of SlowFast does.
///
/// # Shapes
/// - input: `[M, C, T, H, W]`
/// - result: `[M, C, t, H, W]` for `t` frames
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrameSelect {
    /// The positions of the frames, below `T`; a list, because frameworks round a scaled position differently.
    pub frames: Vec<usize>,
}

impl Operation for FrameSelect {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let [channels, frames, height, width] = *x.dims.as_slice() else { return Err(x.wrong_rank(4)) };
        if let Some(&frame) = self.frames.iter().find(|frame| **frame >= frames) {
            return Err(ShapeError::NoSuchFrame { frame, frames });
        }
        Ok(x.with_dims(vec![channels, self.frames.len(), height, width]))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.same_channels()
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn keeps_values(&self) -> bool {
        true
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let frames: Vec<i64> = self.frames.iter().map(|frame| *frame as i64).collect();
        let mut inputs = writer.inputs();
        inputs.push(writer.constant_i64("frames", &frames));
        writer.result("Gather", inputs, vec![int("axis", 2)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn frames_are_chosen_by_position() {
        let select = |frames: &[usize]| FrameSelect { frames: frames.to_vec() };
        check_shape(|g, _| g.node("s", g.input(), select(&[0, 4])), 1, &[4, 2, 9, 12]);
        check_error(|g, _| g.node("s", g.input(), select(&[8])), "frame 8 does not exist in a clip of 8 frames");
        check_error(|g, x| g.node("s", x, select(&[0])), "expected 4 axes after the batch, found [4, 9, 12]");
        check_error(|g, _| g.node("s", g.input(), select(&[])), "an axis is 0");
    }
}
