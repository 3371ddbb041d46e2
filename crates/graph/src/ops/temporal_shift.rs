//! [`TemporalShift`]: the op of TSM (Lin et al. 2019).

use crate::onnx::writer::{NodeWriter, int};
use crate::operands::Operands;
use crate::operation::{Layer, Operation, TensorSpec};
use crate::shape::check_range;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Temporal shift: the first `C / shift_div` channels of frame `t` come from frame `t + 1`, the next `C / shift_div` from `t - 1`, and
/// the rest stay. Frames outside the clip are zeros.
///
/// # Shapes
/// - input and result: `[N * T, C, H, W]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TemporalShift {
    /// `T`.
    pub frames: usize,
    /// The divisor of the channels that move in each direction: 8 in all published networks.
    pub shift_div: usize,
}

/// The parameters of a temporal shift; the number of frames follows from the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemporalShiftParams {
    /// See [`TemporalShift::shift_div`].
    pub shift_div: usize,
}

impl Layer for TemporalShiftParams {
    type Op = TemporalShift;

    fn resolve(self, inputs: &[&Shape]) -> Result<(TemporalShift, Vec<TensorSpec>), ShapeError> {
        let [x] = inputs else { return Err(ShapeError::Inputs { expected: 1, found: inputs.len() }) };
        Ok((TemporalShift { frames: x.per_sample, shift_div: self.shift_div }, Vec::new()))
    }
}

impl Operation for TemporalShift {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let Self { frames, shift_div } = *self;
        let [x] = operands.inputs()?;
        let [channels, _, _] = *x.dims.as_slice() else { return Err(x.wrong_rank(3)) };
        if x.per_sample != frames {
            return Err(ShapeError::Rows { expected: frames, found: x.per_sample });
        }
        check_range("the number of frames", frames as f64, frames >= 2, "at least 2")?;
        check_range("shift_div", shift_div as f64, shift_div >= 2, "at least 2")?;
        if channels < shift_div {
            return Err(ShapeError::NothingShifts { channels, shift_div });
        }
        Ok(x.clone())
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    /// Writes copies, which engines run fast and quantise. Slice assignment, as PyTorch exports it, becomes `ScatterND`, which they
    /// do not. The zeros come from `Pad` because the size of the batch, and so of a block of zeros, is not known.
    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let channels = writer.input_shape().dims.first().copied().unwrap_or(0) as i64;
        let (frames, fold) = (self.frames as i64, channels / self.shift_div as i64);
        let x = writer.input_by_sample("by_sample"); // [N, T, C, H, W]
        let backward = slice(writer, "back", &x, [1, 0], [frames, fold]);
        let backward = pad_frames(writer, "back", backward, 0, 1);
        let forward = slice(writer, "on", &x, [0, fold], [frames - 1, 2 * fold]);
        let forward = pad_frames(writer, "on", forward, 1, 0);
        let mut parts = vec![backward, forward];
        if 2 * fold < channels {
            parts.push(slice(writer, "rest", &x, [0, 2 * fold], [frames, channels]));
        }
        let shifted = writer.step("shifted", "Concat", parts, vec![int("axis", 2)]);
        writer.reshape_to_result(shifted);
    }
}

/// Slices `[N, T, C, H, W]` from `starts` to `ends`, each a frame and a channel.
fn slice(writer: &mut NodeWriter<'_>, name: &str, x: &str, starts: [i64; 2], ends: [i64; 2]) -> String {
    let mut inputs = vec![x.to_owned()];
    for (suffix, values) in [("starts", starts), ("ends", ends), ("axes", [1, 2])] {
        inputs.push(writer.constant_i64(&format!("{name}/{suffix}"), &values));
    }
    writer.step(name, "Slice", inputs, Vec::new())
}

/// Adds frames of zeros before and after those of `[N, T, C, H, W]`.
fn pad_frames(writer: &mut NodeWriter<'_>, name: &str, x: String, before: i64, after: i64) -> String {
    let pads = writer.constant_i64(&format!("{name}/pads"), &[0, before, 0, 0, 0, 0, after, 0, 0, 0]);
    writer.step(&format!("{name}/padded"), "Pad", vec![x, pads], Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn some_channels_move() {
        let check = |shift_div, expect: &str| {
            check_error(|g, x| g.node("t", x, TemporalShiftParams { shift_div }), expect);
        };
        check_shape(|g, x| g.node("t", x, TemporalShiftParams { shift_div: 4 }), 8, &[4, 9, 12]);
        check(5, "a `shift_div` of 5 moves none of 4 channels; choose at most 4");
        check(1, "shift_div is 1, expected at least 2");
    }
}
