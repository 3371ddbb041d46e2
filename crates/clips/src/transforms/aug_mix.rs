//! [`AugMix`]: a clip blended with chains of operations applied to it, as in pytorchvideo.

use super::PixelTransform;
use crate::Draws;
use crate::pixel_ops::random::{MAX_LEVEL, RandomOp};
use crate::pixel_ops::{Chain, PixelOp};
use pipe_schemas::stages::augment::AugMix;

/// The order is part of the draw. `Invert` is not among them.
const OPS: [RandomOp; 13] = [
    RandomOp::AutoContrast,
    RandomOp::Equalize,
    RandomOp::Rotate,
    RandomOp::Posterize,
    RandomOp::Solarize,
    RandomOp::ShearX,
    RandomOp::ShearY,
    RandomOp::TranslateX,
    RandomOp::TranslateY,
    RandomOp::Saturation,
    RandomOp::Contrast,
    RandomOp::Brightness,
    RandomOp::Sharpness,
];

/// Smallest strength of an operation.
const MIN_LEVEL: f64 = 0.1;

/// Largest translation as a share of the side.
const MAX_TRANSLATION: f64 = 1.0 / 3.0;

/// Largest number of operations in a chain with `depth: 0`.
const MAX_DEPTH: u64 = 3;

impl PixelTransform for AugMix {
    fn draw(&self, _: u32, _: u32, draws: &mut Draws) -> Vec<PixelOp> {
        let shares = draws.dirichlet(self.alpha, self.width as usize);
        let own = draws.beta(self.alpha) as f32;
        let chain = |share: f64| {
            let depth = if self.depth == 0 { 1 + draws.below(MAX_DEPTH) } else { u64::from(self.depth) };
            let ops = (0..depth).map(|_| {
                let op = OPS[draws.below(OPS.len() as u64) as usize];
                let level = draws.between(MIN_LEVEL, self.magnitude);
                // Factors rise from 0.1 to 1.9.
                op.at_level(level, MAX_TRANSLATION, |_| 0.1 + 1.8 * level / MAX_LEVEL, draws)
            });
            Chain { ops: ops.collect(), share: share as f32 }
        };
        vec![PixelOp::AugMix { own, chains: shares.into_iter().map(chain).collect() }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_the_chains_sum_to_one() {
        let params = AugMix { magnitude: 3.0, alpha: 1.0, width: 3, depth: 0 };
        for seed in 0..200 {
            let ops = params.draw(112, 96, &mut Draws::new(seed, &["ops"]));
            let [PixelOp::AugMix { own, chains }] = &ops[..] else { panic!("one operation") };
            assert!((0.0..=1.0).contains(own) && chains.len() == 3);
            assert!((chains.iter().map(|chain| chain.share).sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(chains.iter().all(|chain| (1..=3).contains(&chain.ops.len())));
        }
    }
}
