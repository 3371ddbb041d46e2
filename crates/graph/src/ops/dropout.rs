//! [`Dropout`]: regularisation in training.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::shape::check_range;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Sets random values to 0 in training and scales the others by `1 / (1 - ratio)`; returns its input otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dropout {
    /// The probability of a value to be set to 0: at least 0, below 1.
    pub ratio: f64,
}

impl Operation for Dropout {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        check_range("ratio", self.ratio, (0.0..1.0).contains(&self.ratio), "at least 0 and below 1")?;
        Ok(x.clone())
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.input(0)
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn keeps_values(&self) -> bool {
        true
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn is_identity_at_inference(&self) -> bool {
        true
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs();
        writer.result("Identity", inputs, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check_error;

    #[test]
    fn the_ratio_is_a_probability_below_1() {
        check_error(|g, x| g.node("d", x, Dropout { ratio: 1.0 }), "ratio is 1, expected at least 0 and below 1");
        check_error(
            |g, x| g.node("d", x, Dropout { ratio: f64::NAN }),
            "ratio is NaN, expected at least 0 and below 1",
        );
    }
}
