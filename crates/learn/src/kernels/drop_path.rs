//! The kernel of [`DropPath`].

use super::call::Call;
use super::dropout::mask;
use super::precision::Precision;
use pipe_graph::ops::drop_path::DropPath;
use tch::{TchError, Tensor};

/// The factor of the kept values is not exact in 16 bits.
pub(super) const PRECISION: Precision = Precision::Single;

pub(super) fn forward(op: &DropPath, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let Some(step) = call.training.filter(|_| op.rate > 0.0) else { return Ok(x.shallow_clone()) };
    let rows = call.node.shape.per_sample.max(1) as i64;
    let samples = x.size()[0] / rows;
    if op.parts > 1 {
        // A part has consecutive values: each sample becomes as many rows.
        let mask = mask(&[samples, op.parts as i64], op.rate, call, step)?;
        let parts = x.f_reshape([samples, op.parts as i64, -1])?;
        return parts.f_mul(&mask.f_unsqueeze(-1)?)?.f_view(x.size().as_slice());
    }
    let ones = vec![1; x.dim() - 1];
    let mask = mask(&[samples], op.rate, call, step)?.f_repeat_interleave_self_int(rows, 0, None)?;
    x.f_mul(&mask.f_view([&[samples * rows], ones.as_slice()].concat().as_slice())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::TrainingStep;
    use crate::{Network, Piece};
    use pipe_graph::ops::{
        frames_to_batch::FramesToBatch, global_avg_pool::GlobalAvgPool, linear::LinearParams, segment_mean::SegmentMean,
    };
    use pipe_graph::{Builder, ClipShape, Init};
    use tch::{Device, Kind};

    const CLIPS: i64 = 8;
    const FRAMES: i64 = 4;

    /// Returns the factor of each frame of each clip.
    fn factors(parts: usize) -> Vec<Vec<f64>> {
        let clip = ClipShape { channels: 3, frames: FRAMES as usize, height: 2, width: 2 };
        let mut g = Builder::new("tiny", clip).expect("valid");
        let x = g.node("frames", g.input(), FramesToBatch).expect("valid");
        let x = g.node("drop", x, DropPath { rate: 0.5, parts }).expect("valid");
        let x = g.node("pool", x, GlobalAvgPool).expect("valid");
        let x = g.node("mean", x, SegmentMean).expect("valid");
        let x =
            g.node("fc", x, LinearParams { out_features: 2, init: Init::Constant(1.0), bias: true }).expect("valid");
        let network = Network::new(g.finish(x, x).expect("valid"), 0);
        let step = TrainingStep { seed: 0, epoch: 0, step: 0, piece: Piece::whole(CLIPS as usize) };
        let ones = Tensor::ones([CLIPS, 3, FRAMES, 2, 2], (Kind::Float, Device::Cpu));
        let mut found = Vec::new();
        let observe = |node: &pipe_graph::Node, value: &Tensor| {
            if node.name == "drop" {
                let frames = value.reshape([CLIPS, FRAMES, -1]);
                assert_eq!(frames.amin([2], false), frames.amax([2], false), "a frame has one factor");
                let frames = frames.select(2, 0);
                let factor = |clip: i64, frame: i64| frames.double_value(&[clip, frame]);
                found = (0..CLIPS).map(|clip| (0..FRAMES).map(|frame| factor(clip, frame)).collect()).collect();
            }
        };
        let _ = network.forward_with(&ones, Some(step), observe).expect("logits");
        found
    }

    #[test]
    fn clips_or_frames_are_left_out() {
        let is_factor = |factor: &f64| [0.0f64, 2.0].iter().any(|known| known.to_bits() == factor.to_bits());
        for parts in [1, FRAMES as usize] {
            let found = factors(parts);
            assert!(found.iter().flatten().all(is_factor), "{found:?}");
            let mixed = found.iter().filter(|clip| clip.iter().sum::<f64>() % (2.0 * FRAMES as f64) > 0.0).count();
            assert_eq!(mixed > 0, parts > 1, "{found:?}");
        }
    }
}
