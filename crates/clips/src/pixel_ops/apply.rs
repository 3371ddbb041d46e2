//! [`PixelOp::apply`]: torchvision's operations on a frame of RGB levels.

use super::affine::Affine;
use super::histogram::{auto_contrast, equalize};
use super::hue::shift_hue;
use super::levels::{by_level, by_pixel, rounded};
use super::{Chain, Fill, PixelOp};
use crate::Draws;

impl PixelOp {
    /// Applies the operation to `frame`, `[H, W, 3]`, the frame at position `number` of its clip.
    pub(crate) fn apply(&self, frame: &mut [u8], width: usize, number: usize) {
        let height = frame.len() / (3 * width);
        match self {
            Self::Rotate(degrees) => Affine::rotate(*degrees).apply(frame, width),
            Self::ShearX(share) => Affine::shear_x(*share, height).apply(frame, width),
            Self::ShearY(share) => Affine::shear_y(*share, width).apply(frame, width),
            Self::TranslateX(share) => Affine::translate(share * width as f32, 0.0).apply(frame, width),
            Self::TranslateY(share) => Affine::translate(0.0, share * height as f32).apply(frame, width),
            Self::Brightness(factor) => by_level(frame, |_, level| rounded(factor * level)),
            Self::Contrast(factor) => {
                let grey = mean_grey(frame);
                by_level(frame, |_, level| rounded(factor * level + (1.0 - factor) * grey));
            }
            Self::Saturation(factor) => by_pixel(frame, |pixel| {
                let grey = grey(pixel);
                pixel.map(|level| rounded(factor * f32::from(level) + (1.0 - factor) * grey))
            }),
            Self::Sharpness(factor) => sharpen(frame, width, *factor),
            Self::Hue(share) => by_pixel(frame, |pixel| shift_hue(pixel, *share)),
            Self::AutoContrast => auto_contrast(frame),
            Self::Equalize => equalize(frame),
            Self::Invert => by_level(frame, |_, level| 255 - level as u8),
            Self::Posterize(bits) => {
                let dropped = 0xff_u32 >> bits;
                for level in frame {
                    *level &= !(dropped as u8);
                }
            }
            Self::Solarize(threshold) => {
                by_level(frame, |_, level| if level >= *threshold { 255 - level as u8 } else { level as u8 });
            }
            Self::Erase(area, fill) => erase(frame, width, area.map(|edge| edge as usize), *fill, number),
            Self::AugMix { own, chains } => aug_mix(frame, *own, chains, width, number),
        }
    }
}

fn aug_mix(frame: &mut [u8], own: f32, chains: &[Chain], width: usize, number: usize) {
    let mut sum: Vec<f32> = frame.iter().map(|level| own * f32::from(*level)).collect();
    for chain in chains {
        let mut mixed = frame.to_vec();
        chain.ops.iter().for_each(|op| op.apply(&mut mixed, width, number));
        let share = (1.0 - own) * chain.share;
        sum.iter_mut().zip(mixed).for_each(|(sum, level)| *sum += share * f32::from(level));
    }
    frame.iter_mut().zip(sum).for_each(|(level, sum)| *level = rounded(sum));
}

/// ITU-R BT.601, as PIL and torchvision.
fn grey([red, green, blue]: [u8; 3]) -> f32 {
    0.2989 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)
}

fn mean_grey(frame: &[u8]) -> f32 {
    let pixels = frame.as_chunks::<3>().0;
    let sum: f64 = pixels.iter().map(|pixel| f64::from(grey(*pixel))).sum();
    (sum / pixels.len().max(1) as f64) as f32
}

/// The smoothed frame has the weights 1 around 5; at the edges nothing changes.
fn sharpen(frame: &mut [u8], width: usize, factor: f32) {
    let (source, stride) = (frame.to_vec(), 3 * width);
    let height = frame.len() / stride;
    let inner_rows = frame.chunks_exact_mut(stride).enumerate().skip(1).take(height.saturating_sub(2));
    for (row, levels) in inner_rows {
        for (column, sharpened) in levels.iter_mut().enumerate().take(stride - 3).skip(3) {
            let at = row * stride + column;
            let level = |at: usize| f32::from(source[at]);
            let around = |at: usize| level(at - 3) + level(at) + level(at + 3);
            let smooth = (around(at - stride) + around(at) + around(at + stride) + 4.0 * level(at)) / 13.0;
            // PIL rounds it before the blend.
            *sharpened = rounded(factor * level(at) + (1.0 - factor) * smooth.round());
        }
    }
}

fn erase(frame: &mut [u8], width: usize, [left, top, box_width, box_height]: [usize; 4], fill: Fill, number: usize) {
    let rows = frame.chunks_exact_mut(3 * width).skip(top).take(box_height);
    let boxed = rows.map(|row| &mut row[3 * left..3 * (left + box_width)]);
    match fill {
        Fill::Color(color) => boxed.for_each(|row| row.as_chunks_mut::<3>().0.fill(color)),
        Fill::Noise(seed) => {
            let mut draws = Draws::new(seed, &["erase", &number.to_string()]);
            for chunk in boxed.flat_map(|row| row.chunks_mut(8)) {
                let bytes = draws.bits().to_le_bytes();
                chunk.copy_from_slice(&bytes[..chunk.len()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one row of pixels.
    #[track_caller]
    fn check(op: &PixelOp, pixels: &[[u8; 3]], expect: &[[u8; 3]]) {
        let mut frame = pixels.concat();
        op.apply(&mut frame, pixels.len(), 0);
        assert_eq!(frame.as_chunks::<3>().0, expect, "{op:?}");
    }

    /// Worked out by hand, and the same as torchvision's `functional`.
    #[test]
    fn levels_are_changed_as_in_torchvision() {
        let pixels = [[10, 100, 200], [0, 255, 60]];
        check(&PixelOp::Brightness(1.5), &pixels, &[[15, 150, 255], [0, 255, 90]]);
        // Greys are 84.489 and 156.525: their mean is 120.507.
        check(&PixelOp::Contrast(0.5), &pixels, &[[65, 110, 160], [60, 188, 90]]);
        check(&PixelOp::Saturation(0.0), &pixels, &[[84; 3], [157; 3]]);
        check(&PixelOp::Invert, &pixels, &[[245, 155, 55], [255, 0, 195]]);
        check(&PixelOp::Posterize(2), &pixels, &[[0, 64, 192], [0, 192, 0]]);
        check(&PixelOp::Posterize(0), &pixels, &[[0; 3]; 2]);
        check(&PixelOp::Solarize(100.0), &pixels, &[[10, 155, 55], [0, 0, 60]]);
        check(&PixelOp::AutoContrast, &pixels, &[[255, 0, 255], [0, 255, 0]]);
        check(&PixelOp::AutoContrast, &[[7, 7, 7]], &[[7, 7, 7]]);
    }

    #[test]
    fn hue_turns_by_a_share_of_the_circle() {
        let pixels = [[255, 0, 0], [200, 100, 50], [9, 9, 9]];
        check(&PixelOp::Hue(1.0 / 3.0), &pixels, &[[0, 255, 0], [50, 200, 100], [9, 9, 9]]);
        check(&PixelOp::Hue(-1.0 / 3.0), &pixels, &[[0, 0, 255], [100, 50, 200], [9, 9, 9]]);
        check(&PixelOp::Hue(0.0), &pixels, &pixels);
    }

    #[test]
    fn equalized_levels_are_evenly_frequent() {
        let pixels: Vec<[u8; 3]> = (0..1024).map(|at| [(at / 16) as u8; 3]).collect();
        let mut frame = pixels.concat();
        PixelOp::Equalize.apply(&mut frame, 32, 0);
        // 64 levels of 16: a step is 1008 / 255 = 3, so level n becomes (1 + 16 n) / 3.
        let expect = |level: u8| ((1 + 16 * u32::from(level)) / 3).min(255) as u8;
        assert!(frame.as_chunks::<3>().0.iter().zip(&pixels).all(|(found, [level, ..])| *found == [expect(*level); 3]));
    }

    #[test]
    fn sharpness_keeps_edges_and_smooths_the_middle() {
        let mut frame = [[0_u8; 3]; 9];
        frame[4] = [130; 3];
        let sharpened = |factor| {
            let mut frame = frame.concat();
            PixelOp::Sharpness(factor).apply(&mut frame, 3, 0);
            (frame[0], frame[12])
        };
        assert_eq!([sharpened(0.0), sharpened(1.0), sharpened(1.5)], [(0, 50), (0, 130), (0, 170)]);
    }

    #[test]
    fn pixels_move_to_where_they_should() {
        let frame: Vec<[u8; 3]> = (0..9).map(|at| [at * 10; 3]).collect();
        let moved = |op: PixelOp| {
            let mut frame = frame.concat();
            op.apply(&mut frame, 3, 0);
            frame.into_iter().step_by(3).collect::<Vec<u8>>()
        };
        assert_eq!(moved(PixelOp::Rotate(90.0)), [20, 50, 80, 10, 40, 70, 0, 30, 60]); // the right column is on top
        assert_eq!(moved(PixelOp::TranslateX(1.0 / 3.0)), [10, 20, 128, 40, 50, 128, 70, 80, 128]);
        assert_eq!(moved(PixelOp::TranslateY(-1.0 / 3.0)), [128, 128, 128, 0, 10, 20, 30, 40, 50]);
        // Rows come from 0.5, 1.5 and 2.5 further to the right.
        assert_eq!(moved(PixelOp::ShearX(1.0)), [5, 15, 74, 45, 89, 128, 104, 128, 128]);
        assert_eq!(moved(PixelOp::ShearY(0.0)), moved(PixelOp::Brightness(1.0)));
    }

    #[test]
    fn boxes_are_filled() {
        let erased = |fill, number| {
            let mut frame = vec![7_u8; 3 * 4 * 3];
            PixelOp::Erase([1, 1, 2, 2], fill).apply(&mut frame, 4, number);
            frame
        };
        let colored = erased(Fill::Color([1, 2, 3]), 0);
        let changed: Vec<usize> =
            colored.as_chunks::<3>().0.iter().enumerate().filter(|(_, p)| **p == [1, 2, 3]).map(|(at, _)| at).collect();
        assert_eq!(changed, [5, 6, 9, 10]);
        assert_eq!(colored.as_chunks::<3>().0.iter().filter(|pixel| **pixel == [7; 3]).count(), 8);
        assert_eq!(erased(Fill::Noise(3), 0), erased(Fill::Noise(3), 0));
        assert_ne!(erased(Fill::Noise(3), 0), erased(Fill::Noise(3), 1));
    }

    #[test]
    fn chains_are_blended_with_the_frame() {
        let chain = |share, ops: &[PixelOp]| Chain { share, ops: ops.to_vec() };
        let chains = vec![chain(0.25, &[PixelOp::Invert]), chain(0.75, &[PixelOp::Invert, PixelOp::Brightness(0.0)])];
        // 0.5 * 55 + 0.5 * (0.25 * 200 + 0.75 * 0) = 52.5
        check(&PixelOp::AugMix { own: 0.5, chains }, &[[55; 3]], &[[53; 3]]);
    }
}
