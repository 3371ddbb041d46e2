//! [`UniformSampleFrames`]: a random frame of each of `clip_len` equal parts.

use super::{ClipSampler, Timeline};
use crate::Draws;
use crate::numpy_random::MersenneTwister;
use pipe_schemas::stages::augment::UniformSampleFrames;

impl ClipSampler for UniformSampleFrames {
    fn frames_per_clip(&self) -> u32 {
        self.clip_len
    }

    fn train(&self, video: Timeline, draws: &mut Draws) -> Vec<Vec<u32>> {
        let mut below = |bound| draws.below(u64::from(bound)) as u32;
        (0..self.num_clips).map(|_| random_frames(video.num_frames, self.clip_len, None, &mut below)).collect()
    }

    fn test(&self, video: Timeline) -> Vec<Vec<u32>> {
        let mut draws = MersenneTwister::new(self.seed);
        let mut below = |bound| draws.below(bound);
        let start = |clip| Some(test_start(video.num_frames, self.num_clips, clip));
        let clip = |clip| random_frames(video.num_frames, self.clip_len, start(clip), &mut below);
        (0..self.num_clips).map(clip).collect()
    }
}

/// Returns a random frame of each of `clip_len` equal parts.
///
/// A video shorter than two clips leaves out a few random frames. A video shorter than one clip repeats, from `start` or from a
/// random frame. `below` draws a number below its argument.
fn random_frames(num_frames: u32, clip_len: u32, start: Option<u32>, below: &mut impl FnMut(u32) -> u32) -> Vec<u32> {
    if num_frames < clip_len {
        let start = start.unwrap_or_else(|| below(num_frames));
        return (0..clip_len).map(|frame| (start + frame) % num_frames).collect();
    }
    if num_frames - clip_len < clip_len {
        let gaps = gaps(clip_len + 1, num_frames - clip_len, below);
        let mut left_out = 0;
        let frame = |(frame, gap): (u32, bool)| {
            left_out += u32::from(gap);
            frame + left_out
        };
        return (0..clip_len).zip(gaps).map(frame).collect();
    }
    let edge = |part: u32| (u64::from(part) * u64::from(num_frames) / u64::from(clip_len)) as u32;
    (0..clip_len).map(|part| edge(part) + below(edge(part + 1) - edge(part))).collect()
}

/// Returns where a test clip starts in a video that is shorter than a clip.
fn test_start(num_frames: u32, num_clips: u32, clip: u32) -> u32 {
    if num_frames < num_clips {
        return clip % num_frames;
    }
    (u64::from(clip) * u64::from(num_frames) / u64::from(num_clips)) as u32
}

/// Draws `count` of `places` with NumPy's shuffle and returns for each place whether it was drawn.
fn gaps(places: u32, count: u32, below: &mut impl FnMut(u32) -> u32) -> Vec<bool> {
    let mut order: Vec<u32> = (0..places).collect();
    for place in (1..places).rev() {
        order.swap(place as usize, below(place + 1) as usize);
    }
    let mut gaps = vec![false; places as usize];
    order[..count as usize].iter().for_each(|place| gaps[*place as usize] = true);
    gaps
}
