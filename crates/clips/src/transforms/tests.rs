use super::*;
use crate::{ClipError, pixel_ops};
use pipe_schemas::stages::augment::{
    CenterCrop, Flip, MultiScaleCrop, RandomCrop, RandomRescale, RandomResizedCrop, Resize, Scale, TenCrop, ThreeCrop,
};
use std::collections::BTreeMap;

const SHORT_256: Transform = Transform::Resize(Resize { scale: Scale::ShortSidePx(256) });
const EXACT_224: Transform = Transform::Resize(Resize { scale: Scale::Exact([224, 224]) });

fn flip(flip_ratio: f64) -> Transform {
    Flip { flip_ratio, flip_label_map: BTreeMap::new() }.into()
}

fn multi_scale(scales: &[f64], max_wh_scale_gap: u32, num_fixed_crops: u32) -> Transform {
    let scales = scales.to_vec();
    MultiScaleCrop { input_size: 224, scales, max_wh_scale_gap, random_crop: false, num_fixed_crops }.into()
}

fn compose(width_px: u32, height_px: u32, transforms: &[Transform], seed: u64) -> Vec<View> {
    views(width_px, height_px, &[0], transforms, &mut Draws::new(seed, &["view"])).expect("fits")
}

/// `boxes` are x, y, width, height.
#[track_caller]
fn check(size: (u32, u32), transforms: &[Transform], boxes: &[[f32; 4]], out: (u32, u32)) {
    let found = compose(size.0, size.1, transforms, 0);
    let found_boxes: Vec<_> =
        found.iter().map(|view| [view.crop_x, view.crop_y, view.crop_width, view.crop_height]).collect();
    assert_eq!(found_boxes, boxes);
    assert!(found.iter().all(|view| (view.width_px, view.height_px) == out), "{found:?}");
}

#[test]
fn the_short_side_is_rounded_as_in_mmaction2() {
    check((320, 240), &[SHORT_256], &[[0.0, 0.0, 320.0, 240.0]], (341, 256));
    check((171, 128), &[SHORT_256], &[[0.0, 0.0, 171.0, 128.0]], (342, 256));
    check((240, 320), &[SHORT_256], &[[0.0, 0.0, 240.0, 320.0]], (256, 341));
}

#[test]
fn a_center_crop_of_the_stored_size_has_whole_pixels() {
    let transforms = [SHORT_256, CenterCrop { crop_size: 224 }.into()];
    check((341, 256), &transforms, &[[58.0, 16.0, 224.0, 224.0]], (224, 224));
}

#[test]
fn boxes_are_mapped_back_to_the_stored_frame() {
    // 640x480 is halved to 320x240; the crop at 48,8 there is at 96,16 here.
    let transforms = [Resize { scale: Scale::ShortSidePx(240) }.into(), CenterCrop { crop_size: 224 }.into()];
    check((640, 480), &transforms, &[[96.0, 16.0, 448.0, 448.0]], (224, 224));
}

#[test]
fn a_crop_after_a_flip_is_mirrored() {
    let cut: [Transform; 2] = [CenterCrop { crop_size: 3 }.into(), Resize { scale: Scale::Exact([3, 3]) }.into()];
    check((6, 3), &cut, &[[1.0, 0.0, 3.0, 3.0]], (3, 3));
    let flipped = [flip(1.0), cut[0].clone()];
    check((6, 3), &flipped, &[[2.0, 0.0, 3.0, 3.0]], (3, 3));
    assert!(compose(6, 3, &flipped, 0)[0].flip);
    let twice = [flip(1.0), flip(1.0)];
    assert!(!compose(6, 3, &twice, 0)[0].flip);
}

#[test]
fn three_crops_are_left_right_middle() {
    let transforms: [Transform; 2] = [SHORT_256, ThreeCrop { crop_size: 256 }.into()];
    let boxes = [0.0, 84.0, 42.0].map(|x| [x, 0.0, 256.0, 256.0]); // (341 - 256) / 2 = 42
    check((341, 256), &transforms, &boxes, (256, 256));
    let boxes = [0.0, 84.0, 42.0].map(|y| [0.0, y, 256.0, 256.0]);
    check((256, 341), &transforms, &boxes, (256, 256));
    let wrong = views(341, 256, &[0], &[ThreeCrop { crop_size: 224 }.into()], &mut Draws::new(0, &[]));
    assert!(matches!(wrong, Err(ClipError::ThreeCropSide { .. })), "{wrong:?}");
}

#[test]
fn multi_scale_crop_takes_corners_and_the_middle() {
    let transform = multi_scale(&[1.0, 0.875], 0, 5);
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let view = &compose(341, 256, std::slice::from_ref(&transform), seed)[0];
        let edges = [view.crop_x, view.crop_y, view.crop_width, view.crop_height].map(|edge| edge as u32);
        seen.insert(edges);
    }
    // 341 - 256 = 85 gives steps of 21; 341 - 224 = 117 of 29; 256 - 224 = 32 of 8.
    let whole = [0, 42, 84].map(|x| [x, 0, 256, 256]);
    let part = [[0, 0], [116, 0], [0, 32], [116, 32], [58, 16]].map(|[x, y]| [x, y, 224, 224]);
    assert_eq!(seen, whole.into_iter().chain(part).collect());
}

#[test]
fn multi_scale_crop_pairs_similar_scales_and_snaps() {
    let transform = multi_scale(&[1.0, 0.88, 0.5], 1, 5);
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let view = &compose(341, 256, std::slice::from_ref(&transform), seed)[0];
        seen.insert((view.width_px, view.height_px));
    }
    // 256 * 0.88 = 225.28 snaps to 224; 256 and 128 are two apart.
    let pairs = [(256, 256), (256, 224), (224, 256), (224, 224), (224, 128), (128, 224), (128, 128)];
    assert_eq!(seen, pairs.into());
}

#[test]
fn thirteen_crops_are_those_of_tsm() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..500 {
        let view = &compose(344, 256, &[multi_scale(&[0.875], 0, 13)], seed)[0];
        seen.insert((view.crop_x as u32, view.crop_y as u32));
    }
    // (344 - 224) / 4 = 30 and (256 - 224) / 4 = 8.
    let quarters =
        [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)];
    assert_eq!(seen, quarters.map(|(x, y)| (30 * x, 8 * y)).into());
}

#[test]
fn ten_crops_are_each_followed_by_their_mirror_image() {
    let found = compose(344, 256, &[TenCrop { crop_size: 224 }.into()], 0);
    let places: Vec<_> = found.iter().map(|view| (view.crop_x as u32, view.crop_y as u32, view.flip)).collect();
    let corners = [(0, 0), (120, 0), (0, 32), (120, 32), (60, 16)];
    assert_eq!(places, corners.map(|(x, y)| [(x, y, false), (x, y, true)]).concat());
}

#[test]
fn rescaling_reaches_both_ends_of_its_range() {
    let transforms: [Transform; 1] = [RandomRescale { scale_range: [256, 259] }.into()];
    let sides: std::collections::BTreeSet<u32> =
        (0..200).map(|seed| compose(320, 240, &transforms, seed)[0].height_px).collect();
    assert_eq!(sides, (256..=259).collect());
    assert_eq!(compose(320, 240, &[RandomRescale { scale_range: [256, 256] }.into()], 0)[0].width_px, 341);
}

#[test]
fn a_mirrored_clip_may_have_another_class() {
    let flip_label_map = [("86".to_owned(), 87), ("87".to_owned(), 86)].into();
    let always: Transform = Flip { flip_ratio: 1.0, flip_label_map }.into();
    let class = |class_index, transforms: &[Transform]| {
        let found = views(320, 240, &[class_index], transforms, &mut Draws::new(0, &[])).expect("fits");
        found[0].class_indices[0]
    };
    let one = std::slice::from_ref(&always);
    assert_eq!([class(86, one), class(87, one), class(5, one)], [87, 86, 5]);
    assert_eq!([class(86, &[always.clone(), always.clone()]), class(86, &[flip(1.0)])], [86, 86]);
}

#[test]
fn random_boxes_stay_inside_and_differ() {
    let random = [
        vec![SHORT_256, RandomCrop { size: 224 }.into()],
        vec![RandomResizedCrop { area_range: [0.08, 1.0], aspect_ratio_range: [0.75, 4.0 / 3.0] }.into(), EXACT_224],
        vec![SHORT_256, multi_scale(&[1.0, 0.875, 0.75, 0.66], 1, 13), EXACT_224, flip(0.5)],
    ];
    for transforms in random {
        let drawn: Vec<View> = (0..500).map(|seed| compose(320, 240, &transforms, seed).remove(0)).collect();
        for view in &drawn {
            assert!(view.crop_x >= 0.0 && view.crop_x + view.crop_width <= 320.001, "{view:?}");
            assert!(view.crop_y >= 0.0 && view.crop_y + view.crop_height <= 240.001, "{view:?}");
            assert_eq!((view.width_px, view.height_px), (224, 224));
        }
        assert!(drawn.iter().any(|view| *view != drawn[0]));
    }
}

#[test]
fn random_resized_crop_falls_back_to_the_middle_square() {
    let wide: Transform = RandomResizedCrop { area_range: [1.0, 1.0], aspect_ratio_range: [3.0, 3.0] }.into();
    check((320, 240), &[wide], &[[40.0, 0.0, 240.0, 240.0]], (240, 240));
}

#[test]
fn three_views_share_one_draw() {
    let transforms: [Transform; 2] = [ThreeCrop { crop_size: 240 }.into(), flip(0.5)];
    for seed in 0..20 {
        let found = compose(320, 240, &transforms, seed);
        assert!(found.iter().all(|view| view.flip == found[0].flip));
    }
}

#[test]
fn crops_that_do_not_fit_are_errors() {
    let compose = |transform| views(100, 80, &[0], &[transform], &mut Draws::new(0, &[]));
    let error = compose(CenterCrop { crop_size: 81 }.into()).expect_err("too large");
    assert_eq!(error.to_string(), "CenterCrop of 81x81 px does not fit into 100x80 px");
    assert!(compose(RandomCrop { size: 0 }.into()).is_err());
    assert!(compose(Resize { scale: Scale::Exact([0, 10]) }.into()).is_err());
    assert!(compose(Resize { scale: Scale::ShortSidePx(u32::MAX) }.into()).is_err());
    let none = multi_scale(&[], 1, 5);
    assert!(matches!(compose(none), Err(ClipError::Scales { .. })));
    assert!(views(0, 80, &[0], &[], &mut Draws::new(0, &[])).is_err());
}

#[test]
fn labels_are_ascending_and_distinct() {
    let flip_label_map = [("4".to_owned(), 0), ("1".to_owned(), 5)].into();
    let mirrored = Flip { flip_ratio: 1.0, flip_label_map }.into();
    let found = views(320, 240, &[1, 4, 5], &[mirrored], &mut Draws::new(0, &[])).expect("fits");
    assert_eq!(found[0].class_indices, [0, 5]);
}

/// Pixel operations are drawn after all views, in the order of their transforms.
#[test]
fn transforms_that_change_pixels_leave_the_view_as_it_is() {
    let jitter = pipe_schemas::stages::augment::ColorJitter::default().into();
    let transforms: [Transform; 2] = [SHORT_256, CenterCrop { crop_size: 224 }.into()];
    let with_jitter = [&transforms[..], &[jitter]].concat();
    assert_eq!(compose(341, 256, &with_jitter, 0), compose(341, 256, &transforms, 0));
    let draw = |transforms: &[Transform]| draw_pixel_ops(transforms, 224, 224, &mut Draws::new(0, &[])).len();
    assert_eq!((draw(&transforms), draw(&with_jitter)), (0, 4));
}

#[test]
fn drawn_operations_can_be_applied_and_read_back() {
    use pipe_schemas::stages::augment::{AugMix, ColorJitter, EraseMode, RandAugment, RandomErasing};
    let noise = RandomErasing { mode: EraseMode::Rand, ..RandomErasing::default() };
    let transforms: [Transform; 5] = [
        ColorJitter::default().into(),
        RandAugment { magnitude: 7.0, num_layers: 4, ..RandAugment::default() }.into(),
        AugMix::default().into(),
        RandomErasing::default().into(),
        noise.into(),
    ];
    for transform in &transforms {
        for seed in 0..300 {
            let draw = |width, height| {
                draw_pixel_ops(std::slice::from_ref(transform), width, height, &mut Draws::new(seed, &["ops"]))
            };
            let ops = draw(112, 96);
            let text = pixel_ops::to_text(&ops).expect("text");
            assert_eq!(pixel_ops::parse(&text, 112, 96).expect("fits"), ops, "{text}");
            let mut frame: Vec<u8> = (0..3 * 8 * 6).map(|at| (at * 7) as u8).collect();
            for op in draw(8, 6) {
                op.apply(&mut frame, 8, 0);
            }
        }
    }
}
