//! [`RandomErasing`]: a filled box.

use super::PixelTransform;
use crate::Draws;
use crate::pixel_ops::{Fill, PixelOp};
use pipe_schemas::stages::augment::{EraseMode, RandomErasing};

impl PixelTransform for RandomErasing {
    fn draw(&self, width_px: u32, height_px: u32, draws: &mut Draws) -> Vec<PixelOp> {
        if draws.unit() >= self.erase_prob {
            return Vec::new();
        }
        let share = draws.between(self.min_area_ratio, self.max_area_ratio);
        let area = draw_box(share, self.aspect_range, width_px, height_px, draws);
        let fill = match self.mode {
            EraseMode::Const => Fill::Color(self.fill_color),
            EraseMode::Rand => Fill::Noise(draws.bits()),
        };
        vec![PixelOp::Erase(area, fill)]
    }
}

/// Returns left, top, width and height of a box with that share of the area. Every offset that fits is equally probable.
fn draw_box(share: f64, aspects: [f64; 2], width_px: u32, height_px: u32, draws: &mut Draws) -> [u32; 4] {
    let aspect = draws.between(aspects[0].ln(), aspects[1].ln()).exp();
    let area = share * f64::from(width_px) * f64::from(height_px);
    let height = ((area * aspect).sqrt().round_ties_even() as u32).min(height_px);
    let width = ((area / aspect).sqrt().round_ties_even() as u32).min(width_px);
    let top = draws.up_to(height_px - height);
    let left = draws.up_to(width_px - width);
    [left, top, width, height]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_have_the_frequency_and_the_area_of_the_parameters() {
        let params = RandomErasing {
            erase_prob: 0.25,
            max_area_ratio: 1.0 / 3.0,
            aspect_range: [0.3, 10.0 / 3.0],
            mode: EraseMode::Rand,
            ..RandomErasing::default()
        };
        let boxes: Vec<[u32; 4]> = (0..4_000)
            .filter_map(|seed| match params.draw(112, 96, &mut Draws::new(seed, &["ops"]))[..] {
                [PixelOp::Erase(area, Fill::Noise(_))] => Some(area),
                [] => None,
                ref other => panic!("{other:?}"),
            })
            .collect();
        assert!((900..1_100).contains(&boxes.len()), "{}", boxes.len());
        let share = |[_, _, width, height]: &[u32; 4]| f64::from(width * height) / (112.0 * 96.0);
        assert!(boxes.iter().all(|area| (0.015..0.34).contains(&share(area))));
        let mean = boxes.iter().map(share).sum::<f64>() / boxes.len() as f64;
        assert!((mean - 0.17).abs() < 0.02, "{mean}");
    }
}
