//! [`RandomRescale`]: scales the shorter side to a random length.

use super::FrameTransform;
use crate::frame::Frame;
use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::{RandomRescale, Scale};

impl FrameTransform for RandomRescale {
    fn apply(&self, frame: &mut Frame, draws: &mut Draws) -> Result<(), ClipError> {
        let [low, high] = self.scale_range;
        let side = low + draws.up_to(high.saturating_sub(low));
        frame.resize("RandomRescale", Scale::ShortSidePx(side))
    }
}
