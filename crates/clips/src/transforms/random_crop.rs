//! [`RandomCrop`]: a square at a random place.

use super::FrameTransform;
use crate::frame::{Crop, Frame};
use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::RandomCrop;

impl FrameTransform for RandomCrop {
    /// Every offset that fits is equally probable. MMAction2 leaves out the last one, because NumPy's range excludes its end.
    fn apply(&self, frame: &mut Frame, draws: &mut Draws) -> Result<(), ClipError> {
        let (right, down) = frame.room("RandomCrop", self.size, self.size)?;
        let top = draws.up_to(down);
        let left = draws.up_to(right);
        frame.crop(Crop { left, top, width: self.size, height: self.size });
        Ok(())
    }
}
