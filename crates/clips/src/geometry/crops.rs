//! Where each transform that crops puts its box, or its boxes.

use super::frame::{Crop, Frame};
use crate::{ClipError, Draws};

/// Every offset that fits is as likely as the others; NumPy's open range makes MMAction2 leave out the last one.
pub(super) fn random_crop(frame: &Frame, size: u32, draws: &mut Draws) -> Result<Crop, ClipError> {
    let (right, down) = frame.room("RandomCrop", size, size)?;
    let top = draws.up_to(down);
    let left = draws.up_to(right);
    Ok(Crop { left, top, width: size, height: size })
}

/// The first of ten boxes that fits, else the largest square in the middle.
pub(super) fn random_resized_crop(frame: &Frame, areas: [f64; 2], aspects: [f64; 2], draws: &mut Draws) -> Crop {
    const ATTEMPTS: u32 = 10;
    let frame_area = f64::from(frame.width_px) * f64::from(frame.height_px);
    for _ in 0..ATTEMPTS {
        let aspect = draws.between(aspects[0].ln(), aspects[1].ln()).exp();
        let area = draws.between(areas[0], areas[1]) * frame_area;
        let width = (area * aspect).sqrt().round_ties_even() as u32;
        let height = (area / aspect).sqrt().round_ties_even() as u32;
        if let Ok((right, down)) = frame.room("RandomResizedCrop", width, height) {
            let left = draws.up_to(right);
            let top = draws.up_to(down);
            return Crop { left, top, width, height };
        }
    }
    let side = frame.short_side();
    Crop { left: (frame.width_px - side) / 2, top: (frame.height_px - side) / 2, width: side, height: side }
}

/// Width and height of a box of two of the scales.
pub(super) fn multi_scale_sides(
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
pub(super) fn multi_scale_crop(
    frame: &Frame,
    width: u32,
    height: u32,
    num_fixed_crops: Option<u32>,
    draws: &mut Draws,
) -> Result<Crop, ClipError> {
    let (right, down) = frame.room("MultiScaleCrop", width, height)?;
    let Some(num_fixed_crops) = num_fixed_crops else {
        let left = draws.up_to(right);
        let top = draws.up_to(down);
        return Ok(Crop { left, top, width, height });
    };
    let choices = u64::from(num_fixed_crops).min(FIXED_CROPS.len() as u64);
    let (quarters_x, quarters_y) = FIXED_CROPS[draws.below(choices) as usize];
    Ok(Crop { left: quarters_x * (right / 4), top: quarters_y * (down / 4), width, height })
}

/// Left or top, right or bottom, middle.
pub(super) fn three_crops(frame: &Frame, crop_size: u32) -> Result<Vec<Frame>, ClipError> {
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
pub(super) fn ten_crops(frame: &Frame, crop_size: u32) -> Result<Vec<Frame>, ClipError> {
    let (right, down) = frame.room("TenCrop", crop_size, crop_size)?;
    let both = |(quarters_x, quarters_y): &(u32, u32)| {
        let cut = frame.cut(quarters_x * (right / 4), quarters_y * (down / 4), crop_size);
        [cut, Frame { flip: !cut.flip, ..cut }]
    };
    Ok(FIXED_CROPS[..5].iter().flat_map(both).collect())
}
