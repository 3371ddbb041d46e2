//! [`Flip`]: mirrors left to right.

use super::FrameTransform;
use crate::frame::Frame;
use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::Flip;

impl FrameTransform for Flip {
    fn apply(&self, frame: &mut Frame, draws: &mut Draws) -> Result<(), ClipError> {
        if draws.unit() < self.flip_ratio {
            frame.flip = !frame.flip;
            for class_index in &mut frame.class_indices {
                *class_index = self.flip_label_map.get(&class_index.to_string()).copied().unwrap_or(*class_index);
            }
        }
        Ok(())
    }
}
