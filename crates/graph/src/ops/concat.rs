//! [`Concat`]: several values side by side.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Concatenates two or more values along an axis; all other axes must agree.
///
/// # Shapes
/// - inputs: `[M, …, Aᵢ, …]`
/// - result: `[M, …, ΣAᵢ, …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Concat {
    /// The axis, counted from 0 after the batch; 0 are the channels.
    pub axis: usize,
}

impl Operation for Concat {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [first, rest @ ..] = operands.inputs.as_slice() else {
            return Err(ShapeError::Inputs { expected: 2, found: 0 });
        };
        if rest.is_empty() {
            return Err(ShapeError::Inputs { expected: 2, found: 1 });
        }
        let mut result = (*first).clone();
        let Some(size) = result.dims.get(self.axis).copied() else { return Err(first.wrong_rank(self.axis + 1)) };
        let mut total = size;
        for other in rest {
            let mut same = (*other).clone();
            let added = same.dims.get(self.axis).copied().unwrap_or(0);
            if let Some(axis) = same.dims.get_mut(self.axis) {
                *axis = size;
            }
            if same != **first {
                return Err(ShapeError::Concat { left: first.axes(), right: other.axes(), axis: self.axis });
            }
            total = total.saturating_add(added);
        }
        result.dims[self.axis] = total;
        Ok(result)
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let axis = self.axis + 1;
        let mut result = rule.input(0);
        let parts: Vec<Axis> = rule.inputs.iter().map(|input| input[axis].clone()).collect();
        for input in rule.inputs.clone().iter().skip(1) {
            for (other, (one, two)) in result.clone().iter().zip(input).enumerate() {
                if other != axis {
                    rule.unite(one, two);
                }
            }
        }
        result[axis] = joined(rule, &parts);
        result
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs();
        writer.result("Concat", inputs, vec![int("axis", self.axis as i64 + 1)]);
    }
}

/// Returns axes one after the other. If some are whole, all are.
fn joined(rule: &mut ChannelRule<'_>, parts: &[Axis]) -> Axis {
    let channels = parts.iter().map(|part| match part {
        Axis::Channels(channels) => Some(channels.clone()),
        Axis::Whole(_) => None,
    });
    if let Some(channels) = channels.collect::<Option<Vec<_>>>() {
        Axis::Channels(channels.concat())
    } else {
        for part in parts {
            rule.pin(part);
        }
        Axis::Whole(parts.iter().map(Axis::len).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn one_axis_grows_and_the_others_agree() {
        check_shape(|g, x| g.node("c", [x, x, x], Concat { axis: 0 }), 8, &[12, 9, 12]);
        check_shape(|g, x| g.node("c", [x, x], Concat { axis: 2 }), 8, &[4, 9, 24]);
        check_error(
            |g, x| g.node("c", [x, g.input()], Concat { axis: 0 }),
            "can't concatenate [8, 4, 9, 12] and [1, 4, 8, 9, 12] along axis 0 after the batch",
        );
        check_error(|g, x| g.node("c", x, Concat { axis: 0 }), "expected 2 inputs, found 1");
        check_error(
            |g, x| g.node("c", [x, x], Concat { axis: 3 }),
            "expected 4 axes after the batch, found [4, 9, 12]",
        );
    }
}
