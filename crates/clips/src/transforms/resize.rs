//! [`Resize`]: scales the whole frame.

use super::FrameTransform;
use crate::frame::Frame;
use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::Resize;

impl FrameTransform for Resize {
    fn apply(&self, frame: &mut Frame, _: &mut Draws) -> Result<(), ClipError> {
        frame.resize("Resize", self.scale)
    }
}
