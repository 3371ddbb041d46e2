//! [`Roll`]: moves positions along axes; those that leave at one end return at the other.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Moves positions along axes, as `torch.roll` does: position `i` goes to `(i + shift) mod size`.
///
/// # Shapes
/// - input and result: `[M, …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Roll {
    /// Axes, counted from 0 after the batch, and by how much their positions move.
    pub shifts: Vec<(usize, i64)>,
}

impl Operation for Roll {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        match self.shifts.iter().find(|(axis, _)| *axis >= x.dims.len()) {
            Some((axis, _)) => Err(x.wrong_rank(axis.saturating_add(1))),
            None => Ok(x.clone()),
        }
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.changed_axes(|axis| self.shifts.iter().any(|(rolled, _)| *rolled == axis))
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn keeps_values(&self) -> bool {
        true
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    /// Cuts each axis in two and swaps the parts.
    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let dims = writer.shape().dims.clone();
        let moved = |(axis, shift): &(usize, i64)| {
            let size = dims[*axis] as i64;
            Some((*axis as i64 + 1, size - shift.rem_euclid(size))).filter(|(_, cut)| *cut < size)
        };
        let cuts: Vec<(i64, i64)> = self.shifts.iter().filter_map(moved).collect();
        let [x] = writer.inputs().try_into().unwrap_or_default();
        let Some((last, first)) = cuts.split_last() else { return writer.result("Identity", vec![x], Vec::new()) };
        let mut x = x;
        for (axis, cut) in first {
            let parts = swapped(writer, &x, *axis, *cut);
            x = writer.step(&format!("axis{axis}"), "Concat", parts, vec![int("axis", *axis)]);
        }
        let parts = swapped(writer, &x, last.0, last.1);
        writer.result("Concat", parts, vec![int("axis", last.0)]);
    }
}

/// Returns the part of an axis from `cut` on, and the part before it.
fn swapped(writer: &mut NodeWriter<'_>, x: &str, axis: i64, cut: i64) -> Vec<String> {
    let ranges = [("tail", cut, i64::MAX), ("head", 0, cut)];
    let mut part = |(part, start, end): (&str, i64, i64)| {
        let name = format!("axis{axis}/{part}");
        let bounds = [("start", start), ("end", end), ("axis", axis)];
        let bounds = bounds.map(|(bound, value)| writer.constant_i64(&format!("{name}/{bound}"), &[value]));
        let inputs = std::iter::once(x.to_owned()).chain(bounds).collect();
        writer.step(&name, "Slice", inputs, Vec::new())
    };
    ranges.into_iter().map(&mut part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn the_shape_stays() {
        check_shape(|g, x| g.node("r", x, Roll { shifts: vec![(1, -3), (2, 20)] }), 8, &[4, 9, 12]);
        check_error(
            |g, x| g.node("r", x, Roll { shifts: vec![(3, 1)] }),
            "expected 4 axes after the batch, found [4, 9, 12]",
        );
    }
}
