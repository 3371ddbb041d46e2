//! [`MultiScaleCrop`]: a box of one of several scales, at one of several fixed places.

use super::FrameTransform;
use crate::frame::{Crop, FIXED_CROPS, Frame};
use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::MultiScaleCrop;

impl FrameTransform for MultiScaleCrop {
    fn apply(&self, frame: &mut Frame, draws: &mut Draws) -> Result<(), ClipError> {
        let (width, height) = sides(self, frame, draws)?;
        let (right, down) = frame.room("MultiScaleCrop", width, height)?;
        let (left, top) = if self.random_crop {
            let left = draws.up_to(right);
            (left, draws.up_to(down))
        } else {
            let choices = u64::from(self.num_fixed_crops).min(FIXED_CROPS.len() as u64);
            let (quarters_x, quarters_y) = FIXED_CROPS[draws.below(choices) as usize];
            (quarters_x * (right / 4), quarters_y * (down / 4))
        };
        frame.crop(Crop { left, top, width, height });
        Ok(())
    }
}

/// Draws width and height of the box from the scales.
fn sides(params: &MultiScaleCrop, frame: &Frame, draws: &mut Draws) -> Result<(u32, u32), ClipError> {
    let MultiScaleCrop { input_size, scales, max_wh_scale_gap, .. } = params;
    if scales.is_empty() || !scales.iter().all(|scale| *scale > 0.0 && *scale <= 1.0) {
        return Err(ClipError::Scales { scales: scales.clone() });
    }
    let sides: Vec<u32> = scales.iter().map(|scale| (f64::from(frame.short_side()) * scale) as u32).collect();
    let pairs = (0..sides.len()).flat_map(|high| (0..sides.len()).map(move |wide| (high, wide)));
    let near: Vec<_> = pairs.filter(|(high, wide)| high.abs_diff(*wide) <= *max_wh_scale_gap as usize).collect();
    let (high, wide) = near[draws.below(near.len() as u64) as usize];
    // A side within two pixels of the network's becomes the network's, which spares a resampling.
    let snap = |side: u32, limit: u32| {
        if side.abs_diff(*input_size) < 3 && *input_size <= limit { *input_size } else { side }
    };
    Ok((snap(sides[wide], frame.width_px), snap(sides[high], frame.height_px)))
}
