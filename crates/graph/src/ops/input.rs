//! [`Input`]: the batch.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{INPUT, NodeWriter};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{ClipShape, Shape, ShapeError};
use serde::Serialize;

/// The batch of normalised clips, `[N, C, T, H, W]`: the first node of every graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Input {
    /// The shape of one clip. The digest already has it as the shape of the node.
    #[serde(skip)]
    pub clip: ClipShape,
}

impl Operation for Input {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [] = operands.inputs()?;
        let ClipShape { channels, frames, height, width } = self.clip;
        Ok(Shape { per_sample: 1, dims: vec![channels, frames, height, width] })
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        // The pixels: all channels of a video are given.
        rule.whole()
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn is_identity_at_inference(&self) -> bool {
        true
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        writer.result("Identity", vec![INPUT.to_owned()], Vec::new());
    }
}
