//! [`TemporalShift`]: the op of TSM (Lin et al. 2019).

use crate::channels::{Axis, ChannelRule, KeptChannels};
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
    /// The numbers of channels that come from the next frame and from the one before, where channels were removed; `None` for
    /// `C / shift_div` each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<[usize; 2]>,
}

impl TemporalShift {
    /// Returns the number of channels that come from the next frame, and of those after them that come from the one before.
    pub fn moved(&self, channels: usize) -> [usize; 2] {
        self.moved.unwrap_or([channels / self.shift_div.max(1); 2])
    }
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
        Ok((TemporalShift { frames: x.per_sample, shift_div: self.shift_div, moved: None }, Vec::new()))
    }
}

impl Operation for TemporalShift {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let Self { frames, shift_div, moved } = *self;
        let [x] = operands.inputs()?;
        let [channels, _, _] = *x.dims.as_slice() else { return Err(x.wrong_rank(3)) };
        if x.per_sample != frames {
            return Err(ShapeError::Rows { expected: frames, found: x.per_sample });
        }
        check_range("the number of frames", frames as f64, frames >= 2, "at least 2")?;
        check_range("shift_div", shift_div as f64, shift_div >= 2, "at least 2")?;
        if let Some([next, previous]) = moved {
            let sum = next.saturating_add(previous);
            check_range("the number of channels that move", sum as f64, sum <= channels, "at most all channels")?;
        } else if channels < shift_div {
            return Err(ShapeError::NothingShifts { channels, shift_div });
        }
        Ok(x.clone())
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let rows = rule.input(0)[0].clone();
        rule.pin(&rows);
        let channels = rule.channels_only(0, 1);
        rule.with_channels(1, channels)
    }

    fn keep_channels(&mut self, kept: &KeptChannels<'_>) {
        let channels = kept.input[1].len();
        let [next, previous] = self.moved(channels);
        let moved = [kept.before(1, next), kept.before(1, next + previous)];
        let moved = [moved[0], moved[1] - moved[0]];
        let left = kept.shape.dims[0];
        // Fewer than `shift_div` channels are an error unless the numbers are given.
        if moved != self.moved(left) || left < self.shift_div {
            self.moved = Some(moved);
        }
    }

    fn keeps_values(&self) -> bool {
        true
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    /// Writes copies, which engines run fast and quantise. Slice assignment, as PyTorch exports it, becomes `ScatterND`, which they
    /// do not. The zeros come from `Pad` because the size of the batch, and so of a block of zeros, is not known.
    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let channels = writer.input_shape().dims.first().copied().unwrap_or(0);
        let [next, previous] = self.moved(channels).map(|count| count as i64);
        let (frames, channels) = (self.frames as i64, channels as i64);
        let x = writer.input_by_sample("by_sample"); // [N, T, C, H, W]
        let mut parts = Vec::new();
        if next > 0 {
            let backward = slice(writer, "back", &x, [1, 0], [frames, next]);
            parts.push(pad_frames(writer, "back", backward, 0, 1));
        }
        if previous > 0 {
            let forward = slice(writer, "on", &x, [0, next], [frames - 1, next + previous]);
            parts.push(pad_frames(writer, "on", forward, 1, 0));
        }
        if next + previous < channels {
            parts.push(slice(writer, "rest", &x, [0, next + previous], [frames, channels]));
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

    #[test]
    fn the_channels_that_move_can_be_given() {
        let shift = |moved| TemporalShift { frames: 8, shift_div: 8, moved };
        check_shape(|g, x| g.node("t", x, shift(Some([0, 4]))), 8, &[4, 9, 12]);
        let expect = "the number of channels that move is 5, expected at most all channels";
        check_error(|g, x| g.node("t", x, shift(Some([2, 3]))), expect);
        assert_eq!((shift(None).moved(17), shift(Some([1, 0])).moved(17)), ([2, 2], [1, 0]));
    }
}
