//! [`DropPath`]: leaves out residual branches in training.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::shape::check_range;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Stochastic depth (Huang et al. 2016): in training, sets all values of random samples, or of random parts of samples, to 0 and scales the
/// others by `1 / (1 - rate)`; returns its input otherwise.
///
/// # Shapes
/// - input and result: `[M, …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DropPath {
    /// The probability of a part to be set to 0: at least 0, below 1.
    pub rate: f64,
    /// The number of parts of each sample, consecutive and of equal size; 1 for whole samples.
    #[serde(skip_serializing_if = "is_one")]
    pub parts: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(parts: &usize) -> bool {
    *parts == 1
}

impl Operation for DropPath {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        check_range("rate", self.rate, (0.0..1.0).contains(&self.rate), "at least 0 and below 1")?;
        let positions: usize = x.dims.iter().product::<usize>() * x.per_sample.max(1);
        check_range(
            "parts",
            self.parts as f64,
            self.parts > 0 && positions.is_multiple_of(self.parts),
            "a divisor of a sample",
        )?;
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
    fn the_rate_is_a_probability_below_1() {
        check_error(
            |g, x| g.node("d", x, DropPath { rate: 1.0, parts: 1 }),
            "rate is 1, expected at least 0 and below 1",
        );
        let parts = |parts: usize| move |g: &mut crate::Builder, x| g.node("d", x, DropPath { rate: 0.5, parts });
        check_error(parts(0), "parts is 0, expected a divisor of a sample");
    }
}
