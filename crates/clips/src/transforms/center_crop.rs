//! [`CenterCrop`]: a square from the center.

use super::FrameTransform;
use crate::frame::{Crop, Frame};
use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::CenterCrop;

impl FrameTransform for CenterCrop {
    fn apply(&self, frame: &mut Frame, _: &mut Draws) -> Result<(), ClipError> {
        let (right, down) = frame.room("CenterCrop", self.crop_size, self.crop_size)?;
        frame.crop(Crop { left: right / 2, top: down / 2, width: self.crop_size, height: self.crop_size });
        Ok(())
    }
}
