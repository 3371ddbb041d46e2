//! Which part of a frame is shown, and at what size: [`views`] composes the transforms of a pipeline into one crop, one
//! resize and one mirroring.
//!
//! Boxes are drawn in the space that MMAction2 draws them in, which is that of the resized frame with whole pixels, and
//! then mapped back to the stored frame. So several resizes in a row cost one resampling of the stored pixels.

use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::{Scale, Transform};

/// What one view shows of each stored frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Left edge of the crop, in pixels of the stored frame.
    pub crop_x: f32,
    /// Upper edge.
    pub crop_y: f32,
    /// Width.
    pub crop_width: f32,
    /// Height.
    pub crop_height: f32,
    /// Width that the crop is scaled to.
    pub width_px: u32,
    /// Height that the crop is scaled to.
    pub height_px: u32,
    /// Whether the crop is mirrored left and right.
    pub flip: bool,
    /// The class of what is seen; `flip_label_map` may change it.
    pub class_index: u32,
}

/// Composes `transforms` on a stored frame of `width_px` by `height_px`. `ThreeCrop` makes three views of each, `TenCrop`
/// ten. Transforms that change pixels are none of its business.
///
/// # Errors
/// [`ClipError`] if a box does not fit at its place in the pipeline.
pub fn views(
    width_px: u32,
    height_px: u32,
    class_index: u32,
    transforms: &[Transform],
    draws: &mut Draws,
) -> Result<Vec<View>, ClipError> {
    let frame = Frame::stored(width_px, height_px, class_index);
    frame.check("a stored frame")?;
    let mut frames = vec![frame];
    for transform in transforms {
        apply(transform, &mut frames, draws)?;
    }
    Ok(frames.iter().map(Frame::view).collect())
}

/// A frame at one point of the pipeline: its size there, and the part of the stored frame that it shows.
#[derive(Debug, Clone, Copy)]
struct Frame {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    width_px: u32,
    height_px: u32,
    flip: bool,
    class_index: u32,
}

/// A box in pixels of a [`Frame`].
#[derive(Debug, Clone, Copy)]
struct Crop {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Frame {
    fn stored(width_px: u32, height_px: u32, class_index: u32) -> Self {
        let (width, height) = (f64::from(width_px), f64::from(height_px));
        Self { x: 0.0, y: 0.0, width, height, width_px, height_px, flip: false, class_index }
    }

    fn check(&self, transform: &'static str) -> Result<(), ClipError> {
        let (width_px, height_px) = (self.width_px, self.height_px);
        let sides = 1..=65_535; // as JPEG
        if sides.contains(&width_px) && sides.contains(&height_px) {
            Ok(())
        } else {
            Err(ClipError::Size { transform, width_px, height_px })
        }
    }

    fn short_side(&self) -> u32 {
        self.width_px.min(self.height_px)
    }

    fn resize(&mut self, transform: &'static str, scale: Scale) -> Result<(), ClipError> {
        (self.width_px, self.height_px) = match scale {
            Scale::Exact([width_px, height_px]) => (width_px, height_px),
            Scale::ShortSidePx(short_side) => {
                let factor = f64::from(short_side) / f64::from(self.short_side());
                let scaled = |old: u32| (f64::from(old) * factor + 0.5) as u32;
                (scaled(self.width_px), scaled(self.height_px))
            }
        };
        self.check(transform)
    }

    fn crop(&mut self, crop: Crop) {
        let left = if self.flip { self.width_px - crop.left - crop.width } else { crop.left };
        let (scale_x, scale_y) = (self.width / f64::from(self.width_px), self.height / f64::from(self.height_px));
        self.x += f64::from(left) * scale_x;
        self.y += f64::from(crop.top) * scale_y;
        self.width = f64::from(crop.width) * scale_x;
        self.height = f64::from(crop.height) * scale_y;
        (self.width_px, self.height_px) = (crop.width, crop.height);
    }

    /// Returns a square of the frame.
    fn cut(&self, left: u32, top: u32, side: u32) -> Self {
        let mut cut = *self;
        cut.crop(Crop { left, top, width: side, height: side });
        cut
    }

    /// Returns how far a box of this size can be moved to the right and down.
    fn room(&self, transform: &'static str, width: u32, height: u32) -> Result<(u32, u32), ClipError> {
        let fits = (1..=self.width_px).contains(&width) && (1..=self.height_px).contains(&height);
        if fits {
            return Ok((self.width_px - width, self.height_px - height));
        }
        Err(ClipError::CropTooLarge {
            transform,
            crop_width_px: width,
            crop_height_px: height,
            width_px: self.width_px,
            height_px: self.height_px,
        })
    }

    fn view(&self) -> View {
        View {
            crop_x: self.x as f32,
            crop_y: self.y as f32,
            crop_width: self.width as f32,
            crop_height: self.height as f32,
            width_px: self.width_px,
            height_px: self.height_px,
            flip: self.flip,
            class_index: self.class_index,
        }
    }
}

fn apply(transform: &Transform, frames: &mut Vec<Frame>, draws: &mut Draws) -> Result<(), ClipError> {
    let several: Option<Vec<Vec<Frame>>> = match transform {
        Transform::ThreeCrop { crop_size } => Some(all(frames, |frame| three_crops(frame, *crop_size))?),
        Transform::TenCrop { crop_size } => Some(all(frames, |frame| ten_crops(frame, *crop_size))?),
        _ => None,
    };
    if let Some(cut) = several {
        // The order of the views is crop by crop, as in MMAction2: all views left or top, then the others.
        let num_crops = cut.first().map_or(0, Vec::len);
        *frames = (0..num_crops).flat_map(|crop| cut.iter().map(move |crops| crops[crop])).collect();
        return Ok(());
    }
    // One draw serves all views, as one sample has them.
    let before = draws.clone();
    for frame in frames {
        *draws = before.clone();
        apply_to(transform, frame, draws)?;
    }
    Ok(())
}

fn all(
    frames: &[Frame],
    crops: impl Fn(&Frame) -> Result<Vec<Frame>, ClipError>,
) -> Result<Vec<Vec<Frame>>, ClipError> {
    frames.iter().map(crops).collect()
}

fn apply_to(transform: &Transform, frame: &mut Frame, draws: &mut Draws) -> Result<(), ClipError> {
    match transform {
        Transform::Resize { scale } => frame.resize("Resize", *scale)?,
        Transform::RandomRescale { scale_range: [low, high] } => {
            let side = low + draws.below(u64::from(high.saturating_sub(*low)) + 1) as u32;
            frame.resize("RandomRescale", Scale::ShortSidePx(side))?;
        }
        Transform::Flip { flip_ratio, flip_label_map } => {
            if draws.unit() < *flip_ratio {
                frame.flip = !frame.flip;
                let mirrored = flip_label_map.get(&frame.class_index.to_string());
                frame.class_index = mirrored.copied().unwrap_or(frame.class_index);
            }
        }
        Transform::RandomCrop { size } => frame.crop(random_crop(frame, *size, draws)?),
        Transform::CenterCrop { crop_size } => {
            let (right, down) = frame.room("CenterCrop", *crop_size, *crop_size)?;
            frame.crop(Crop { left: right / 2, top: down / 2, width: *crop_size, height: *crop_size });
        }
        Transform::RandomResizedCrop { area_range, aspect_ratio_range } => {
            frame.crop(random_resized_crop(frame, *area_range, *aspect_ratio_range, draws));
        }
        Transform::MultiScaleCrop { input_size, scales, max_wh_scale_gap, random_crop, num_fixed_crops } => {
            let (width, height) = multi_scale_sides(frame, *input_size, scales, *max_wh_scale_gap, draws)?;
            let offsets = if *random_crop { None } else { Some(*num_fixed_crops) };
            frame.crop(multi_scale_crop(frame, width, height, offsets, draws)?);
        }
        Transform::ThreeCrop { .. }
        | Transform::TenCrop { .. }
        | Transform::ColorJitter { .. }
        | Transform::RandAugment { .. }
        | Transform::AugMix { .. }
        | Transform::RandomErasing { .. } => {}
    }
    Ok(())
}

/// Every offset that fits is as likely as the others; NumPy's open range makes MMAction2 leave out the last one.
fn random_crop(frame: &Frame, size: u32, draws: &mut Draws) -> Result<Crop, ClipError> {
    let (right, down) = frame.room("RandomCrop", size, size)?;
    let top = draws.below(u64::from(down) + 1) as u32;
    let left = draws.below(u64::from(right) + 1) as u32;
    Ok(Crop { left, top, width: size, height: size })
}

/// The first of ten boxes that fits, else the largest square in the middle.
fn random_resized_crop(frame: &Frame, areas: [f64; 2], aspects: [f64; 2], draws: &mut Draws) -> Crop {
    const ATTEMPTS: u32 = 10;
    let frame_area = f64::from(frame.width_px) * f64::from(frame.height_px);
    for _ in 0..ATTEMPTS {
        let aspect = draws.between(aspects[0].ln(), aspects[1].ln()).exp();
        let area = draws.between(areas[0], areas[1]) * frame_area;
        let width = (area * aspect).sqrt().round_ties_even() as u32;
        let height = (area / aspect).sqrt().round_ties_even() as u32;
        if let Ok((right, down)) = frame.room("RandomResizedCrop", width, height) {
            let left = draws.below(u64::from(right) + 1) as u32;
            let top = draws.below(u64::from(down) + 1) as u32;
            return Crop { left, top, width, height };
        }
    }
    let side = frame.short_side();
    Crop { left: (frame.width_px - side) / 2, top: (frame.height_px - side) / 2, width: side, height: side }
}

/// Width and height of a box of two of the scales.
fn multi_scale_sides(
    frame: &Frame,
    input_size: u32,
    scales: &[f64],
    max_gap: u32,
    draws: &mut Draws,
) -> Result<(u32, u32), ClipError> {
    if scales.is_empty() || !scales.iter().all(|scale| *scale > 0.0 && *scale <= 1.0) {
        return Err(ClipError::Scales { scales: scales.to_vec() });
    }
    let sides: Vec<u32> = scales.iter().map(|scale| (f64::from(frame.short_side()) * scale) as u32).collect();
    let pairs = (0..sides.len()).flat_map(|high| (0..sides.len()).map(move |wide| (high, wide)));
    let near: Vec<_> = pairs.filter(|(high, wide)| high.abs_diff(*wide) <= max_gap as usize).collect();
    let (high, wide) = near[draws.below(near.len() as u64) as usize];
    // A side within two pixels of the network's becomes the network's, which spares a resampling.
    let snap = |side: u32, limit: u32| {
        if side.abs_diff(input_size) < 3 && input_size <= limit { input_size } else { side }
    };
    Ok((snap(sides[wide], frame.width_px), snap(sides[high], frame.height_px)))
}

/// Offsets in quarters of the room to the right and below. The first five are those of TSN.
const FIXED_CROPS: [(u32, u32); 13] =
    [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)];

/// A box at one of the fixed offsets, or at any.
fn multi_scale_crop(
    frame: &Frame,
    width: u32,
    height: u32,
    num_fixed_crops: Option<u32>,
    draws: &mut Draws,
) -> Result<Crop, ClipError> {
    let (right, down) = frame.room("MultiScaleCrop", width, height)?;
    let Some(num_fixed_crops) = num_fixed_crops else {
        let left = draws.below(u64::from(right) + 1) as u32;
        let top = draws.below(u64::from(down) + 1) as u32;
        return Ok(Crop { left, top, width, height });
    };
    let choices = u64::from(num_fixed_crops).min(FIXED_CROPS.len() as u64);
    let (quarters_x, quarters_y) = FIXED_CROPS[draws.below(choices) as usize];
    Ok(Crop { left: quarters_x * (right / 4), top: quarters_y * (down / 4), width, height })
}

/// Left or top, right or bottom, middle.
fn three_crops(frame: &Frame, crop_size: u32) -> Result<Vec<Frame>, ClipError> {
    let (width_px, height_px) = (frame.width_px, frame.height_px);
    let (right, down) = frame.room("ThreeCrop", crop_size, crop_size)?;
    let (step_x, step_y) = match (right, down) {
        (_, 0) => (right / 2, 0),
        (0, _) => (0, down / 2),
        _ => return Err(ClipError::ThreeCropSide { crop_size, width_px, height_px }),
    };
    let cut = |step: u32| frame.cut(step * step_x, step * step_y, crop_size);
    Ok([0, 2, 1].map(cut).into())
}

/// The corners and the middle, each followed by its mirror image.
fn ten_crops(frame: &Frame, crop_size: u32) -> Result<Vec<Frame>, ClipError> {
    let (right, down) = frame.room("TenCrop", crop_size, crop_size)?;
    let both = |(quarters_x, quarters_y): &(u32, u32)| {
        let cut = frame.cut(quarters_x * (right / 4), quarters_y * (down / 4), crop_size);
        [cut, Frame { flip: !cut.flip, ..cut }]
    };
    Ok(FIXED_CROPS[..5].iter().flat_map(both).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT_256: Transform = Transform::Resize { scale: Scale::ShortSidePx(256) };
    const EXACT_224: Transform = Transform::Resize { scale: Scale::Exact([224, 224]) };

    fn flip(flip_ratio: f64) -> Transform {
        Transform::Flip { flip_ratio, flip_label_map: std::collections::BTreeMap::new() }
    }

    fn multi_scale(scales: &[f64], max_wh_scale_gap: u32, num_fixed_crops: u32) -> Transform {
        let scales = scales.to_vec();
        Transform::MultiScaleCrop { input_size: 224, scales, max_wh_scale_gap, random_crop: false, num_fixed_crops }
    }

    fn compose(width_px: u32, height_px: u32, transforms: &[Transform], seed: u64) -> Vec<View> {
        views(width_px, height_px, 0, transforms, &mut Draws::new(seed, &["view"])).expect("fits")
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
    fn short_side_rounds_as_mmaction2() {
        check((320, 240), &[SHORT_256], &[[0.0, 0.0, 320.0, 240.0]], (341, 256));
        check((171, 128), &[SHORT_256], &[[0.0, 0.0, 171.0, 128.0]], (342, 256));
        check((240, 320), &[SHORT_256], &[[0.0, 0.0, 240.0, 320.0]], (256, 341));
    }

    #[test]
    fn a_centre_crop_of_the_stored_size_is_whole_pixels() {
        let transforms = [SHORT_256, Transform::CenterCrop { crop_size: 224 }];
        check((341, 256), &transforms, &[[58.0, 16.0, 224.0, 224.0]], (224, 224));
    }

    #[test]
    fn boxes_are_mapped_back_to_the_stored_frame() {
        // 640x480 is halved to 320x240; the crop at 48,8 there is at 96,16 here.
        let transforms =
            [Transform::Resize { scale: Scale::ShortSidePx(240) }, Transform::CenterCrop { crop_size: 224 }];
        check((640, 480), &transforms, &[[96.0, 16.0, 448.0, 448.0]], (224, 224));
    }

    #[test]
    fn a_crop_after_a_flip_is_mirrored() {
        let cut = [Transform::CenterCrop { crop_size: 3 }, Transform::Resize { scale: Scale::Exact([3, 3]) }];
        check((6, 3), &cut, &[[1.0, 0.0, 3.0, 3.0]], (3, 3));
        let flipped = [flip(1.0), cut[0].clone()];
        check((6, 3), &flipped, &[[2.0, 0.0, 3.0, 3.0]], (3, 3));
        assert!(compose(6, 3, &flipped, 0)[0].flip);
        let twice = [flip(1.0), flip(1.0)];
        assert!(!compose(6, 3, &twice, 0)[0].flip);
    }

    #[test]
    fn three_crops_are_left_right_middle() {
        let transforms = [SHORT_256, Transform::ThreeCrop { crop_size: 256 }];
        let boxes = [0.0, 84.0, 42.0].map(|x| [x, 0.0, 256.0, 256.0]); // (341 - 256) / 2 = 42
        check((341, 256), &transforms, &boxes, (256, 256));
        let boxes = [0.0, 84.0, 42.0].map(|y| [0.0, y, 256.0, 256.0]);
        check((256, 341), &transforms, &boxes, (256, 256));
        let wrong = views(341, 256, 0, &[Transform::ThreeCrop { crop_size: 224 }], &mut Draws::new(0, &[]));
        assert!(matches!(wrong, Err(ClipError::ThreeCropSide { .. })), "{wrong:?}");
    }

    #[test]
    fn multi_scale_crop_takes_corners_and_the_middle() {
        let transform = multi_scale(&[1.0, 0.875], 0, 5);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let view = compose(341, 256, std::slice::from_ref(&transform), seed)[0];
            let edges = [view.crop_x, view.crop_y, view.crop_width, view.crop_height].map(|edge| edge as u32);
            seen.insert(edges);
        }
        // 341 - 256 = 85 gives steps of 21; 341 - 224 = 117 of 29; 256 - 224 = 32 of 8.
        let whole = [0, 42, 84].map(|x| [x, 0, 256, 256]);
        let part = [[0, 0], [116, 0], [0, 32], [116, 32], [58, 16]].map(|[x, y]| [x, y, 224, 224]);
        assert_eq!(seen, whole.into_iter().chain(part).collect());
    }

    #[test]
    fn multi_scale_crop_pairs_near_scales_and_snaps() {
        let transform = multi_scale(&[1.0, 0.88, 0.5], 1, 5);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let view = compose(341, 256, std::slice::from_ref(&transform), seed)[0];
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
            let view = compose(344, 256, &[multi_scale(&[0.875], 0, 13)], seed)[0];
            seen.insert((view.crop_x as u32, view.crop_y as u32));
        }
        // (344 - 224) / 4 = 30 and (256 - 224) / 4 = 8.
        let quarters =
            [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)];
        assert_eq!(seen, quarters.map(|(x, y)| (30 * x, 8 * y)).into());
    }

    #[test]
    fn ten_crops_are_each_followed_by_their_mirror_image() {
        let found = compose(344, 256, &[Transform::TenCrop { crop_size: 224 }], 0);
        let places: Vec<_> = found.iter().map(|view| (view.crop_x as u32, view.crop_y as u32, view.flip)).collect();
        let corners = [(0, 0), (120, 0), (0, 32), (120, 32), (60, 16)];
        assert_eq!(places, corners.map(|(x, y)| [(x, y, false), (x, y, true)]).concat());
    }

    #[test]
    fn rescaling_reaches_both_ends_of_its_range() {
        let transforms = [Transform::RandomRescale { scale_range: [256, 259] }];
        let sides: std::collections::BTreeSet<u32> =
            (0..200).map(|seed| compose(320, 240, &transforms, seed)[0].height_px).collect();
        assert_eq!(sides, (256..=259).collect());
        assert_eq!(compose(320, 240, &[Transform::RandomRescale { scale_range: [256, 256] }], 0)[0].width_px, 341);
    }

    #[test]
    fn a_mirrored_clip_may_have_another_class() {
        let flip_label_map = [("86".to_owned(), 87), ("87".to_owned(), 86)].into();
        let always = Transform::Flip { flip_ratio: 1.0, flip_label_map };
        let class = |class_index, transforms: &[Transform]| {
            let found = views(320, 240, class_index, transforms, &mut Draws::new(0, &[])).expect("fits");
            found[0].class_index
        };
        let one = std::slice::from_ref(&always);
        assert_eq!([class(86, one), class(87, one), class(5, one)], [87, 86, 5]);
        assert_eq!([class(86, &[always.clone(), always.clone()]), class(86, &[flip(1.0)])], [86, 86]);
    }

    #[test]
    fn random_boxes_stay_inside_and_differ() {
        let random = [
            vec![SHORT_256, Transform::RandomCrop { size: 224 }],
            vec![
                Transform::RandomResizedCrop { area_range: [0.08, 1.0], aspect_ratio_range: [0.75, 4.0 / 3.0] },
                EXACT_224,
            ],
            vec![SHORT_256, multi_scale(&[1.0, 0.875, 0.75, 0.66], 1, 13), EXACT_224, flip(0.5)],
        ];
        for transforms in random {
            let drawn: Vec<View> = (0..500).map(|seed| compose(320, 240, &transforms, seed)[0]).collect();
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
        let wide = Transform::RandomResizedCrop { area_range: [1.0, 1.0], aspect_ratio_range: [3.0, 3.0] };
        check((320, 240), &[wide], &[[40.0, 0.0, 240.0, 240.0]], (240, 240));
    }

    #[test]
    fn three_views_share_one_draw() {
        let transforms = [Transform::ThreeCrop { crop_size: 240 }, flip(0.5)];
        for seed in 0..20 {
            let found = compose(320, 240, &transforms, seed);
            assert!(found.iter().all(|view| view.flip == found[0].flip));
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let compose = |transform| views(100, 80, 0, &[transform], &mut Draws::new(0, &[]));
        let error = compose(Transform::CenterCrop { crop_size: 81 }).expect_err("too large");
        assert_eq!(error.to_string(), "CenterCrop cuts 81x81 px from only 100x80 px");
        assert!(compose(Transform::RandomCrop { size: 0 }).is_err());
        assert!(compose(Transform::Resize { scale: Scale::Exact([0, 10]) }).is_err());
        assert!(compose(Transform::Resize { scale: Scale::ShortSidePx(u32::MAX) }).is_err());
        let none = multi_scale(&[], 1, 5);
        assert!(matches!(compose(none), Err(ClipError::Scales { .. })));
        assert!(views(0, 80, 0, &[], &mut Draws::new(0, &[])).is_err());
    }
}
