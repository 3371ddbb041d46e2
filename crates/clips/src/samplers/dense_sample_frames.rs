//! [`DenseSampleFrames`]: clips from a window of the video.

use super::{ClipSampler, Timeline, clips_at, even_offsets, indices_of};
use crate::Draws;
use pipe_schemas::stages::augment::DenseSampleFrames;

impl ClipSampler for DenseSampleFrames {
    fn frames_per_clip(&self) -> u32 {
        if self.clip_len == 1 { self.num_clips } else { self.clip_len }
    }

    fn train(&self, video: Timeline, draws: &mut Draws) -> Vec<Vec<u32>> {
        let positions = num_positions(video.num_frames, self.sample_range);
        // As in MMAction2 the last position is never drawn: its upper bound is excluded twice.
        let start = if positions == 1 { 0 } else { draws.below(positions - 1) };
        clips(self, video.num_frames, &starts_in_window(self, video.num_frames, start))
    }

    fn test(&self, video: Timeline) -> Vec<Vec<u32>> {
        let last = (num_positions(video.num_frames, self.sample_range) - 1) as f64;
        let step = last / f64::from(self.num_sample_positions.max(2) - 1);
        let start = |position: u32| (f64::from(position) * step).min(last) as u64;
        let starts: Vec<f64> = (0..self.num_sample_positions)
            .flat_map(|position| starts_in_window(self, video.num_frames, start(position)))
            .collect();
        clips(self, video.num_frames, &starts)
    }
}

/// Returns where the clips of the window that begins at `start` start.
fn starts_in_window(params: &DenseSampleFrames, num_frames: u32, start: u64) -> Vec<f64> {
    let step = u64::from(params.sample_range / params.num_clips);
    (0..u64::from(params.num_clips)).map(|clip| ((clip * step + start) % u64::from(num_frames)) as f64).collect()
}

fn clips(params: &DenseSampleFrames, num_frames: u32, starts: &[f64]) -> Vec<Vec<u32>> {
    let clips = clips_at(starts, &even_offsets(params.clip_len, params.frame_interval));
    indices_of(&clips, num_frames, params.out_of_bound_opt, params.num_clips)
}

/// Returns the number of places that a window of `sample_range` frames has.
fn num_positions(num_frames: u32, sample_range: u32) -> u64 {
    (1 + u64::from(num_frames)).saturating_sub(u64::from(sample_range)).max(1)
}
