//! [`draw()`]: from transforms to operations.

use super::{Chain, Fill, PixelOp};
use crate::Draws;
use pipe_schemas::stages::augment::{EraseMode, Transform};

/// Levels of magnitude.
const MAX_LEVEL: f64 = 10.0;

/// The weakest operation of `AugMix`.
const MIN_AUG_MIX_LEVEL: f64 = 0.1;

/// Operations that a chain of `AugMix` has at most where `depth` is 0.
const MAX_DEPTH: u64 = 3;

/// Draws the operations of those `transforms` that change pixels, for a clip of `width_px` by `height_px`.
pub fn draw(transforms: &[Transform], width_px: u32, height_px: u32, draws: &mut Draws) -> Vec<PixelOp> {
    let mut ops = Vec::new();
    for transform in transforms {
        match *transform {
            Transform::ColorJitter { brightness, contrast, saturation, hue } => {
                let mut factor = |reach: f64| draws.between(1.0 - reach, 1.0 + reach) as f32;
                let mut jitter = [
                    PixelOp::Brightness(factor(brightness)),
                    PixelOp::Contrast(factor(contrast)),
                    PixelOp::Saturation(factor(saturation)),
                    PixelOp::Hue(draws.between(-hue, hue) as f32),
                ];
                draws.shuffle(&mut jitter);
                ops.extend(jitter);
            }
            Transform::RandAugment { magnitude, magnitude_std, num_layers, prob } => {
                let mut kinds = RAND_AUGMENT;
                draws.shuffle(&mut kinds);
                for kind in kinds.into_iter().take(num_layers as usize) {
                    if draws.unit() < prob {
                        let level = draws.normal(magnitude, magnitude_std).clamp(0.0, MAX_LEVEL);
                        ops.push(rand_augment_op(kind, level, draws));
                    }
                }
            }
            Transform::AugMix { magnitude, alpha, width, depth } => {
                ops.push(aug_mix(magnitude, alpha, width, depth, draws));
            }
            Transform::RandomErasing { erase_prob, min_area_ratio, max_area_ratio, aspect_range, mode, fill_color } => {
                let erases = draws.unit() < erase_prob;
                if erases {
                    let area = draws.between(min_area_ratio, max_area_ratio);
                    let area = erased_box(area, aspect_range, width_px, height_px, draws);
                    let fill = match mode {
                        EraseMode::Const => Fill::Color(fill_color),
                        EraseMode::Rand => Fill::Noise(draws.bits()),
                    };
                    ops.push(PixelOp::Erase(area, fill));
                }
            }
            _ => {}
        }
    }
    ops
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Brightness,
    Contrast,
    Saturation,
    Sharpness,
    AutoContrast,
    Equalize,
    Invert,
    Rotate,
    Posterize,
    Solarize,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
}

/// pytorchvideo's list.
const RAND_AUGMENT: [Kind; 14] = [
    Kind::Brightness,
    Kind::Contrast,
    Kind::Saturation,
    Kind::Sharpness,
    Kind::AutoContrast,
    Kind::Equalize,
    Kind::Invert,
    Kind::Rotate,
    Kind::Posterize,
    Kind::Solarize,
    Kind::ShearX,
    Kind::ShearY,
    Kind::TranslateX,
    Kind::TranslateY,
];

/// pytorchvideo's list, which has no `Invert`.
const AUG_MIX: [Kind; 13] = [
    Kind::AutoContrast,
    Kind::Equalize,
    Kind::Rotate,
    Kind::Posterize,
    Kind::Solarize,
    Kind::ShearX,
    Kind::ShearY,
    Kind::TranslateX,
    Kind::TranslateY,
    Kind::Saturation,
    Kind::Contrast,
    Kind::Brightness,
    Kind::Sharpness,
];

/// Factors lie around 1, by at most 0.9.
fn rand_augment_op(kind: Kind, level: f64, draws: &mut Draws) -> PixelOp {
    let factor = |draws: &mut Draws| 1.0 + either_sign(0.9 * level / MAX_LEVEL, draws);
    op(kind, level, 0.45, factor, draws)
}

/// Factors rise from 0.1 to 1.9.
fn aug_mix_op(kind: Kind, level: f64, draws: &mut Draws) -> PixelOp {
    op(kind, level, 1.0 / 3.0, |_| 0.1 + 1.8 * level / MAX_LEVEL, draws)
}

fn op(kind: Kind, level: f64, max_translation: f64, factor: impl Fn(&mut Draws) -> f64, draws: &mut Draws) -> PixelOp {
    let share = level / MAX_LEVEL;
    let mut signed = |most: f64| either_sign(most * share, draws) as f32;
    match kind {
        Kind::Brightness => PixelOp::Brightness(factor(draws) as f32),
        Kind::Contrast => PixelOp::Contrast(factor(draws) as f32),
        Kind::Saturation => PixelOp::Saturation(factor(draws) as f32),
        Kind::Sharpness => PixelOp::Sharpness(factor(draws) as f32),
        Kind::AutoContrast => PixelOp::AutoContrast,
        Kind::Equalize => PixelOp::Equalize,
        Kind::Invert => PixelOp::Invert,
        Kind::Rotate => PixelOp::Rotate(signed(30.0)),
        Kind::Posterize => PixelOp::Posterize(4 - (4.0 * share) as u8),
        Kind::Solarize => PixelOp::Solarize((255.0 * (1.0 - share)) as f32),
        Kind::ShearX => PixelOp::ShearX(signed(0.3)),
        Kind::ShearY => PixelOp::ShearY(signed(0.3)),
        Kind::TranslateX => PixelOp::TranslateX(signed(max_translation)),
        Kind::TranslateY => PixelOp::TranslateY(signed(max_translation)),
    }
}

fn either_sign(value: f64, draws: &mut Draws) -> f64 {
    if draws.unit() < 0.5 { value } else { -value }
}

fn aug_mix(magnitude: f64, alpha: f64, width: u32, depth: u32, draws: &mut Draws) -> PixelOp {
    let shares = draws.dirichlet(alpha, width as usize);
    let own = draws.beta(alpha) as f32;
    let chain = |share: f64| {
        let depth = if depth == 0 { 1 + draws.below(MAX_DEPTH) } else { u64::from(depth) };
        let ops = (0..depth).map(|_| {
            let kind = AUG_MIX[draws.below(AUG_MIX.len() as u64) as usize];
            let level = draws.between(MIN_AUG_MIX_LEVEL, magnitude);
            aug_mix_op(kind, level, draws)
        });
        Chain { ops: ops.collect(), share: share as f32 }
    };
    PixelOp::AugMix { own, chains: shares.into_iter().map(chain).collect() }
}

/// Left, top, width and height of a box of this share of the area. Every offset that fits is as likely as the others.
fn erased_box(share: f64, aspects: [f64; 2], width_px: u32, height_px: u32, draws: &mut Draws) -> [u32; 4] {
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
    use crate::pixels::{parse, to_text};

    fn drawn(transform: &Transform, seed: u64) -> Vec<PixelOp> {
        draw(std::slice::from_ref(transform), 112, 96, &mut Draws::new(seed, &["ops"]))
    }

    fn erasing(mode: EraseMode) -> Transform {
        Transform::RandomErasing {
            erase_prob: 0.25,
            min_area_ratio: 0.02,
            max_area_ratio: 1.0 / 3.0,
            aspect_range: [0.3, 10.0 / 3.0],
            mode,
            fill_color: [128; 3],
        }
    }

    const RAND_AUGMENT: Transform =
        Transform::RandAugment { magnitude: 7.0, magnitude_std: 0.5, num_layers: 4, prob: 0.5 };
    const AUG_MIX: Transform = Transform::AugMix { magnitude: 3.0, alpha: 1.0, width: 3, depth: 0 };

    #[test]
    fn whatever_is_drawn_can_be_done_and_written_down() {
        let jitter = Transform::ColorJitter { brightness: 0.5, contrast: 0.5, saturation: 0.5, hue: 0.1 };
        for transform in [jitter, RAND_AUGMENT, AUG_MIX, erasing(EraseMode::Const), erasing(EraseMode::Rand)] {
            for seed in 0..300 {
                let ops = drawn(&transform, seed);
                let text = to_text(&ops).expect("text");
                assert_eq!(parse(&text, 112, 96).expect("fits"), ops, "{text}");
                let mut frame: Vec<u8> = (0..3 * 8 * 6).map(|at| (at * 7) as u8).collect();
                let small = draw(std::slice::from_ref(&transform), 8, 6, &mut Draws::new(seed, &["small"]));
                for op in small {
                    op.apply(&mut frame, 8, 0);
                }
            }
        }
    }

    #[test]
    fn jitter_stays_in_its_range_and_changes_its_order() {
        let jitter = Transform::ColorJitter { brightness: 0.4, contrast: 0.3, saturation: 0.2, hue: 0.1 };
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..500 {
            let ops = drawn(&jitter, seed);
            let order = ops.iter().map(|op| match op {
                PixelOp::Brightness(factor) if (factor - 1.0).abs() <= 0.4 => 'b',
                PixelOp::Contrast(factor) if (factor - 1.0).abs() <= 0.3 => 'c',
                PixelOp::Saturation(factor) if (factor - 1.0).abs() <= 0.2 => 's',
                PixelOp::Hue(share) if share.abs() <= 0.1 => 'h',
                other => panic!("{other:?}"),
            });
            orders.insert(order.collect::<String>());
        }
        assert_eq!(orders.len(), 24);
    }

    #[test]
    fn rand_augment_does_half_of_its_layers() {
        let all: Vec<Vec<PixelOp>> = (0..2_000).map(|seed| drawn(&RAND_AUGMENT, seed)).collect();
        let mean = all.iter().map(Vec::len).sum::<usize>() as f64 / 2_000.0;
        assert!((mean - 2.0).abs() < 0.1, "{mean}");
        let rotations: Vec<f32> =
            all.iter().flatten().filter_map(|op| if let PixelOp::Rotate(by) = op { Some(*by) } else { None }).collect();
        let strength = rotations.iter().map(|by| by.abs()).sum::<f32>() / rotations.len() as f32;
        assert!((strength - 21.0).abs() < 0.5, "{strength}"); // 30 degrees at 7 of 10
        assert!(rotations.iter().any(|by| *by < 0.0) && rotations.iter().any(|by| *by > 0.0));
    }

    #[test]
    fn aug_mix_shares_are_shares() {
        for seed in 0..200 {
            let [PixelOp::AugMix { own, chains }] = &drawn(&AUG_MIX, seed)[..] else { panic!("one operation") };
            assert!((0.0..=1.0).contains(own) && chains.len() == 3);
            assert!((chains.iter().map(|chain| chain.share).sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(chains.iter().all(|chain| (1..=3).contains(&chain.ops.len())));
        }
    }

    #[test]
    fn boxes_are_erased_as_often_and_as_large_as_asked_for() {
        let boxes: Vec<[u32; 4]> = (0..4_000)
            .filter_map(|seed| match drawn(&erasing(EraseMode::Rand), seed)[..] {
                [PixelOp::Erase(area, Fill::Noise(_))] => Some(area),
                _ => None,
            })
            .collect();
        assert!((900..1_100).contains(&boxes.len()), "{}", boxes.len());
        let share = |[_, _, width, height]: &[u32; 4]| f64::from(width * height) / (112.0 * 96.0);
        assert!(boxes.iter().all(|area| (0.015..0.34).contains(&share(area))));
        let mean = boxes.iter().map(share).sum::<f64>() / boxes.len() as f64;
        assert!((mean - 0.17).abs() < 0.02, "{mean}");
    }
}
