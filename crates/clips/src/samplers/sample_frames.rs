//! [`SampleFrames`]: clips spread evenly over the video. Fractions of frames are kept where MMAction2 keeps them.

use super::{ClipSampler, Timeline, clips_at, even_offsets, indices_of};
use crate::Draws;
use pipe_schemas::stages::augment::SampleFrames;

impl ClipSampler for SampleFrames {
    fn frames_per_clip(&self) -> u32 {
        if self.clip_len == 1 { self.num_clips } else { self.clip_len }
    }

    fn train(&self, video: Timeline, draws: &mut Draws) -> Vec<Vec<u32>> {
        let Timeline { num_frames, fps } = video;
        let whole = f64::from(self.clip_len) * f64::from(self.frame_interval);
        let (offsets, span) = match self.target_fps {
            Some(target) => at_rate(self.clip_len, whole, fps, target),
            None => (even_offsets(self.clip_len, self.frame_interval), whole),
        };
        let starts = if self.keep_tail_frames {
            tail_starts(num_frames, span, self.num_clips, draws)
        } else {
            train_starts(num_frames, span, self.num_clips, draws)
        };
        let mut clips = clips_at(&starts, &offsets);
        if self.temporal_jitter {
            let jitter = |index: &mut f64| *index += draws.below(u64::from(self.frame_interval)) as f64;
            clips.iter_mut().flatten().for_each(jitter);
        }
        indices_of(&clips, num_frames, self.out_of_bound_opt, self.num_clips)
    }

    fn test(&self, video: Timeline) -> Vec<Vec<u32>> {
        let Timeline { num_frames, fps } = video;
        let (clip_len, frame_interval) = (f64::from(self.clip_len), f64::from(self.frame_interval));
        let (offsets, span) = match self.target_fps {
            Some(target) => at_rate(self.clip_len, clip_len * frame_interval, fps, target),
            None => (even_offsets(self.clip_len, self.frame_interval), (clip_len - 1.0) * frame_interval + 1.0),
        };
        let starts = if self.clip_len == 1 {
            segment_starts(num_frames, self.num_clips, self.twice_sample)
        } else {
            let num_clips = if self.twice_sample { 2 * self.num_clips } else { self.num_clips };
            test_starts((f64::from(num_frames) - span).max(0.0), num_clips, self.target_fps.is_some())
        };
        indices_of(&clips_at(&starts, &offsets), num_frames, self.out_of_bound_opt, self.num_clips)
    }
}

/// Returns the distance of each frame from the first of a clip that spans `whole` frames of the rate `target`, and the number of
/// stored frames that it spans.
fn at_rate(clip_len: u32, whole: f64, fps: f64, target: f64) -> (Vec<f64>, f64) {
    let span = if fps > 0.0 { (whole * (fps / target)).max(1.0) } else { whole };
    let step = (span - 1.0) / f64::from(clip_len.max(2) - 1);
    ((0..clip_len).map(|frame| (f64::from(frame) * step).floor()).collect(), span)
}

/// Draws where clips of `span` frames start in training.
fn train_starts(num_frames: u32, span: f64, num_clips: u32, draws: &mut Draws) -> Vec<f64> {
    // Starts that leave room for a whole clip; below 1 where the video is shorter than a clip.
    let num_starts = f64::from(num_frames) - span + 1.0;
    let interval = (num_starts / f64::from(num_clips)).floor();
    if interval > 0.0 {
        (0..num_clips).map(|clip| f64::from(clip) * interval + draws.below(interval as u64) as f64).collect()
    } else if f64::from(num_frames) > f64::from(num_clips).max(span) {
        let mut starts: Vec<u64> = (0..num_clips).map(|_| draws.below(num_starts as u64)).collect();
        starts.sort_unstable();
        starts.into_iter().map(|start| start as f64).collect()
    } else if interval == 0.0 {
        let ratio = num_starts / f64::from(num_clips);
        (0..num_clips).map(|clip| (f64::from(clip) * ratio).round_ties_even()).collect()
    } else {
        vec![0.0; num_clips as usize]
    }
}

/// Draws the starts with `keep_tail_frames`. Their intervals are not whole numbers of frames.
fn tail_starts(num_frames: u32, span: f64, num_clips: u32, draws: &mut Draws) -> Vec<f64> {
    let interval = (f64::from(num_frames) - span + 1.0) / f64::from(num_clips);
    if f64::from(num_frames) <= span - 1.0 {
        return vec![0.0; num_clips as usize];
    }
    (0..num_clips).map(|clip| (f64::from(clip) * interval + draws.between(0.0, interval)).floor()).collect()
}

/// Returns the middle of each of `num_clips` parts; with `twice` followed by the start of each.
fn segment_starts(num_frames: u32, num_clips: u32, twice: bool) -> Vec<f64> {
    let interval = f64::from(num_frames) / f64::from(num_clips);
    let begins = (0..num_clips).map(|clip| f64::from(clip) * interval);
    let middles = begins.clone().map(|begin| begin + interval / 2.0);
    if twice { middles.chain(begins).collect() } else { middles.collect() }
}

/// Returns starts from 0 to `max_start`. With `whole` their distance is a whole number, as in MMAction2 with `target_fps`.
fn test_starts(max_start: f64, num_clips: u32, whole: bool) -> Vec<f64> {
    if num_clips == 1 {
        return vec![(max_start / 2.0).floor()];
    }
    let interval = max_start / f64::from(num_clips - 1);
    let interval = if whole { interval.floor() } else { interval };
    (0..num_clips).map(|clip| (f64::from(clip) * interval).round_ties_even()).collect()
}
