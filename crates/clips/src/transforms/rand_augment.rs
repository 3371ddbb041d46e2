//! [`RandAugment`]: a few of fourteen operations, as pytorchvideo applies them.

use super::PixelTransform;
use crate::Draws;
use crate::pixel_ops::PixelOp;
use crate::pixel_ops::random::{MAX_LEVEL, RandomOp, either_sign};
use pipe_schemas::stages::augment::RandAugment;

/// The order is part of the draw.
const OPS: [RandomOp; 14] = [
    RandomOp::Brightness,
    RandomOp::Contrast,
    RandomOp::Saturation,
    RandomOp::Sharpness,
    RandomOp::AutoContrast,
    RandomOp::Equalize,
    RandomOp::Invert,
    RandomOp::Rotate,
    RandomOp::Posterize,
    RandomOp::Solarize,
    RandomOp::ShearX,
    RandomOp::ShearY,
    RandomOp::TranslateX,
    RandomOp::TranslateY,
];

/// Largest translation as a share of the side.
const MAX_TRANSLATION: f64 = 0.45;

impl PixelTransform for RandAugment {
    fn draw(&self, _: u32, _: u32, draws: &mut Draws) -> Vec<PixelOp> {
        let mut chosen = OPS;
        draws.shuffle(&mut chosen);
        let mut ops = Vec::new();
        for op in chosen.into_iter().take(self.num_layers as usize) {
            if draws.unit() < self.prob {
                let level = draws.normal(self.magnitude, self.magnitude_std).clamp(0.0, MAX_LEVEL);
                // Factors lie around 1, at a distance of at most 0.9.
                let factor = |draws: &mut Draws| 1.0 + either_sign(0.9 * level / MAX_LEVEL, draws);
                ops.push(op.at_level(level, MAX_TRANSLATION, factor, draws));
            }
        }
        ops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_layers_are_applied() {
        let params = RandAugment { magnitude: 7.0, magnitude_std: 0.5, num_layers: 4, prob: 0.5 };
        let all: Vec<Vec<PixelOp>> =
            (0..2_000).map(|seed| params.draw(112, 96, &mut Draws::new(seed, &["ops"]))).collect();
        let mean = all.iter().map(Vec::len).sum::<usize>() as f64 / 2_000.0;
        assert!((mean - 2.0).abs() < 0.1, "{mean}");
        let rotations: Vec<f32> =
            all.iter().flatten().filter_map(|op| if let PixelOp::Rotate(by) = op { Some(*by) } else { None }).collect();
        let strength = rotations.iter().map(|by| by.abs()).sum::<f32>() / rotations.len() as f32;
        assert!((strength - 21.0).abs() < 0.5, "{strength}"); // 30 degrees at 7 of 10
        assert!(rotations.iter().any(|by| *by < 0.0) && rotations.iter().any(|by| *by > 0.0));
    }
}
