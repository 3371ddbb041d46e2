//! [`ThreeCrop`]: three squares along the longer side.

use super::MultiViewTransform;
use crate::ClipError;
use crate::frame::Frame;
use pipe_schemas::stages::augment::ThreeCrop;

impl MultiViewTransform for ThreeCrop {
    /// Left or top, right or bottom, center.
    fn split(&self, frame: &Frame) -> Result<Vec<Frame>, ClipError> {
        let crop_size = self.crop_size;
        let (right, down) = frame.room("ThreeCrop", crop_size, crop_size)?;
        let (step_x, step_y) = match (right, down) {
            (_, 0) => (right / 2, 0),
            (0, _) => (0, down / 2),
            (1.., 1..) => {
                let (width_px, height_px) = (frame.width_px, frame.height_px);
                return Err(ClipError::ThreeCropSide { crop_size, width_px, height_px });
            }
        };
        Ok([0, 2, 1].map(|step: u32| frame.square(step * step_x, step * step_y, crop_size)).into())
    }
}
