//! [`Resize`]: a table for another number of positions.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, float, ints, text};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Resizes the positions of a table, such as position embeddings for clips of another size. Positions are centres of pixels, as in
/// `torch.nn.functional.interpolate(align_corners=False)`.
///
/// # Shapes
/// - input: a table `[A₀, …, C]` with as many axes before `C` as `size` has entries: 1 to 3, exactly 2 for `Cubic`
/// - result: a table `[size…, C]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resize {
    /// The new size of each axis.
    pub size: Vec<usize>,
    /// How values between positions are computed.
    pub mode: ResizeMode,
}

/// How values between positions are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ResizeMode {
    /// The value of position `floor(i * old / new)`.
    Nearest,
    /// Linear in each axis.
    Linear,
    /// Cubic in each of two axes, with coefficient -0.75.
    Cubic,
}

impl Operation for Resize {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs_or_tables()?;
        if !x.is_table() {
            return Err(ShapeError::NoTable { found: x.axes() });
        }
        let legal = match self.mode {
            ResizeMode::Nearest | ResizeMode::Linear => 1..=3,
            ResizeMode::Cubic => 2..=2,
        };
        let [positions @ .., channels] = x.dims.as_slice() else { return Err(x.wrong_rank(2)) };
        if positions.len() != self.size.len() || !legal.contains(&positions.len()) {
            return Err(x.wrong_rank(self.size.len() + 1));
        }
        Ok(Shape::table([self.size.as_slice(), &[*channels]].concat()))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.changed_axes(|axis| axis < self.size.len())
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    /// Writes `Resize` on `[1, C, …]`. Exported networks rarely have it: tables are constants then, see `passes::fold_tables`.
    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let dims = writer.shape().dims.clone();
        let Some((channels, size)) = dims.split_last() else { return };
        let axes = size.len() as i64;
        let x = writer.inputs();
        let first = std::iter::once(axes).chain(0..axes).collect::<Vec<_>>();
        let x = writer.step("channels_first", "Transpose", x, vec![ints("perm", &first)]);
        let front = writer.constant_i64("front", &[0]);
        let x = writer.step("image", "Unsqueeze", vec![x, front.clone()], Vec::new());
        let sizes = [&[1, *channels], size].concat();
        let sizes = writer.constant_i64("sizes", &sizes.iter().map(|size| *size as i64).collect::<Vec<_>>());
        let inputs = vec![x, String::new(), String::new(), sizes];
        let x = writer.step("resized", "Resize", inputs, self.onnx_attributes());
        let x = writer.step("channels", "Squeeze", vec![x, front], Vec::new());
        let last = (1..=axes).chain([0]).collect::<Vec<_>>();
        writer.result("Transpose", vec![x], vec![ints("perm", &last)]);
    }
}

impl Resize {
    fn onnx_attributes(&self) -> Vec<crate::onnx::writer::AttributeProto> {
        let named = |mode, positions| vec![text("mode", mode), text("coordinate_transformation_mode", positions)];
        match self.mode {
            ResizeMode::Nearest => [named("nearest", "asymmetric"), vec![text("nearest_mode", "floor")]].concat(),
            ResizeMode::Linear => named("linear", "half_pixel"),
            ResizeMode::Cubic => [named("cubic", "half_pixel"), vec![float("cubic_coeff_a", -0.75)]].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::table::TableParams;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn positions_change_and_channels_stay() {
        let resize = |size: &[usize], mode| {
            let op = Resize { size: size.to_vec(), mode };
            move |g: &mut crate::Builder, _| {
                let table = g.node("t", [], TableParams::zeros(&[7, 7, 5]))?;
                g.node("r", table, op)
            }
        };
        check_shape(resize(&[3, 9], ResizeMode::Cubic), 0, &[3, 9, 5]);
        check_error(resize(&[3], ResizeMode::Linear), "expected 2 axes after the batch, found [7, 7, 5]");
        check_error(
            |g, x| g.node("r", x, Resize { size: vec![3], mode: ResizeMode::Linear }),
            "expected a table, found [8, 4, 9, 12] for each sample",
        );
    }
}
