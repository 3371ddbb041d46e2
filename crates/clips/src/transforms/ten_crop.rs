//! [`TenCrop`]: the corners and the center, each followed by its mirror image.

use super::MultiViewTransform;
use crate::ClipError;
use crate::frame::{FIXED_CROPS, Frame};
use pipe_schemas::stages::augment::TenCrop;

impl MultiViewTransform for TenCrop {
    fn split(&self, frame: &Frame) -> Result<Vec<Frame>, ClipError> {
        let (right, down) = frame.room("TenCrop", self.crop_size, self.crop_size)?;
        let both = |(quarters_x, quarters_y): &(u32, u32)| {
            let crop = frame.square(quarters_x * (right / 4), quarters_y * (down / 4), self.crop_size);
            let mut mirrored = crop.clone();
            mirrored.flip = !crop.flip;
            [crop, mirrored]
        };
        Ok(FIXED_CROPS[..5].iter().flat_map(both).collect())
    }
}
