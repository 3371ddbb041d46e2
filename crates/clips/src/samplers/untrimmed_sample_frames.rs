//! [`UntrimmedSampleFrames`]: a window that slides over the whole video.

use super::{ClipSampler, Timeline};
use crate::Draws;
use pipe_schemas::stages::augment::UntrimmedSampleFrames;

impl ClipSampler for UntrimmedSampleFrames {
    fn frames_per_clip(&self) -> u32 {
        self.clip_len
    }

    /// The first window is around frame `clip_interval / 2`.
    fn min_frames(&self) -> u32 {
        self.clip_interval / 2 + 1
    }

    fn train(&self, video: Timeline, _: &mut Draws) -> Vec<Vec<u32>> {
        self.test(video)
    }

    /// Positions outside the video show its first or its last frame.
    fn test(&self, video: Timeline) -> Vec<Vec<u32>> {
        let (interval, last) = (i64::from(self.frame_interval), i64::from(video.num_frames) - 1);
        let before = i64::from(self.clip_len / 2) * interval;
        let window = |middle: u32| {
            let index = |frame: u32| i64::from(middle) - before + i64::from(frame) * interval;
            (0..self.clip_len).map(|frame| index(frame).clamp(0, last) as u32).collect()
        };
        (self.clip_interval / 2..video.num_frames).step_by(self.clip_interval as usize).map(window).collect()
    }
}
