//! [`ColorJitter`]: changes of brightness, contrast, saturation and hue, in random order.

use super::PixelTransform;
use crate::Draws;
use crate::pixel_ops::PixelOp;
use pipe_schemas::stages::augment::ColorJitter;

impl PixelTransform for ColorJitter {
    fn draw(&self, _: u32, _: u32, draws: &mut Draws) -> Vec<PixelOp> {
        let mut factor = |reach: f64| draws.between(1.0 - reach, 1.0 + reach) as f32;
        let mut ops = vec![
            PixelOp::Brightness(factor(self.brightness)),
            PixelOp::Contrast(factor(self.contrast)),
            PixelOp::Saturation(factor(self.saturation)),
            PixelOp::Hue(draws.between(-self.hue, self.hue) as f32),
        ];
        draws.shuffle(&mut ops);
        ops
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn jitter_stays_in_its_ranges_in_every_order() {
        let jitter = ColorJitter { brightness: 0.4, contrast: 0.3, saturation: 0.2, hue: 0.1 };
        let mut orders = BTreeSet::new();
        for seed in 0..500 {
            let ops = jitter.draw(112, 96, &mut Draws::new(seed, &["ops"]));
            let mut kinds = ["", "", "", ""];
            for (kind, op) in kinds.iter_mut().zip(&ops) {
                if let PixelOp::Brightness(factor) = op {
                    assert!((factor - 1.0).abs() <= 0.4, "{op:?}");
                    *kind = "brightness";
                } else if let PixelOp::Contrast(factor) = op {
                    assert!((factor - 1.0).abs() <= 0.3, "{op:?}");
                    *kind = "contrast";
                } else if let PixelOp::Saturation(factor) = op {
                    assert!((factor - 1.0).abs() <= 0.2, "{op:?}");
                    *kind = "saturation";
                } else if let PixelOp::Hue(share) = op {
                    assert!(share.abs() <= 0.1, "{op:?}");
                    *kind = "hue";
                }
            }
            orders.insert(kinds);
        }
        assert_eq!(orders.len(), 24);
    }
}
