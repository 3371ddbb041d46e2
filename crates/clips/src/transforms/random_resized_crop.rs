//! [`RandomResizedCrop`]: a box of random area and aspect ratio.

use super::FrameTransform;
use crate::frame::{Crop, Frame};
use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::RandomResizedCrop;

impl FrameTransform for RandomResizedCrop {
    fn apply(&self, frame: &mut Frame, draws: &mut Draws) -> Result<(), ClipError> {
        let crop = draw_box(frame, self.area_range, self.aspect_ratio_range, draws);
        frame.crop(crop);
        Ok(())
    }
}

/// Returns the first of ten boxes that fits, or else the largest square in the center.
fn draw_box(frame: &Frame, areas: [f64; 2], aspects: [f64; 2], draws: &mut Draws) -> Crop {
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
