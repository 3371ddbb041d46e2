//! [`UniformSample`]: one frame of each of `clip_len` equal parts.

use super::{ClipSampler, Timeline};
use crate::Draws;
use pipe_schemas::stages::augment::UniformSample;

impl ClipSampler for UniformSample {
    fn frames_per_clip(&self) -> u32 {
        self.clip_len
    }

    fn train(&self, video: Timeline, draws: &mut Draws) -> Vec<Vec<u32>> {
        let frame = |(first, last): (u32, u32)| first + draws.up_to(last - first);
        vec![parts(video.num_frames, self.clip_len).map(frame).collect()]
    }

    fn test(&self, video: Timeline) -> Vec<Vec<u32>> {
        let step = f64::from(video.num_frames - 1) / f64::from(self.clip_len) / f64::from(self.num_clips + 1);
        let clip = |number: u32| {
            let offset = (step * f64::from(number + 1)) as u32;
            parts(video.num_frames, self.clip_len).map(|(first, _)| first + offset).collect()
        };
        (0..self.num_clips).map(clip).collect()
    }
}

/// Returns the first and the last frame of `count` equal parts. The last frame of a part is the first of the next.
fn parts(num_frames: u32, count: u32) -> impl Iterator<Item = (u32, u32)> {
    let length = f64::from(num_frames - 1) / f64::from(count);
    let edge = move |number: u32| (length * f64::from(number)).round_ties_even() as u32;
    (0..count).map(move |number| (edge(number), edge(number + 1)))
}
