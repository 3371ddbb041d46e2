//! Where clips start, and how far from there each of their frames is: the arithmetic of MMAction2's `SampleFrames` and
//! `DenseSampleFrames`. Fractions stay where MMAction2 keeps them.

use crate::Draws;

/// Returns how far each frame of a clip is from its start.
pub(super) fn even(clip_len: u32, frame_interval: u32) -> Vec<f64> {
    (0..clip_len).map(|frame| f64::from(frame) * f64::from(frame_interval)).collect()
}

/// Returns the same for a clip that spans `whole` frames of the rate `target`, and what it spans of the stored ones.
pub(super) fn at_rate(clip_len: u32, whole: f64, fps: f64, target: f64) -> (Vec<f64>, f64) {
    let span = if fps > 0.0 { (whole * (fps / target)).max(1.0) } else { whole };
    let step = (span - 1.0) / f64::from(clip_len.max(2) - 1);
    ((0..clip_len).map(|frame| (f64::from(frame) * step).floor()).collect(), span)
}

/// Returns where clips of `span` frames start in training.
pub(super) fn train_starts(num_frames: u32, span: f64, num_clips: u32, draws: &mut Draws) -> Vec<f64> {
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

/// Returns the starts for `keep_tail_frames`, whose intervals are no whole frames.
pub(super) fn tail_starts(num_frames: u32, span: f64, num_clips: u32, draws: &mut Draws) -> Vec<f64> {
    let interval = (f64::from(num_frames) - span + 1.0) / f64::from(num_clips);
    if f64::from(num_frames) <= span - 1.0 {
        return vec![0.0; num_clips as usize];
    }
    (0..num_clips).map(|clip| (f64::from(clip) * interval + draws.between(0.0, interval)).floor()).collect()
}

/// Returns the middle of each of `num_clips` parts; with `twice` then also where each begins.
pub(super) fn segment_starts(num_frames: u32, num_clips: u32, twice: bool) -> Vec<f64> {
    let interval = f64::from(num_frames) / f64::from(num_clips);
    let begins = (0..num_clips).map(|clip| f64::from(clip) * interval);
    let middles = begins.clone().map(|begin| begin + interval / 2.0);
    if twice { middles.chain(begins).collect() } else { middles.collect() }
}

/// Returns starts from 0 to `max_start`; with `whole` at whole distances, as MMAction2 has them with `target_fps`.
pub(super) fn test_starts(max_start: f64, num_clips: u32, whole: bool) -> Vec<f64> {
    if num_clips == 1 {
        return vec![(max_start / 2.0).floor()];
    }
    let interval = max_start / f64::from(num_clips - 1);
    let interval = if whole { interval.floor() } else { interval };
    (0..num_clips).map(|clip| (f64::from(clip) * interval).round_ties_even()).collect()
}

/// Returns how many places a window of `sample_range` frames has.
pub(super) fn dense_positions(num_frames: u32, sample_range: u32) -> u64 {
    (1 + u64::from(num_frames)).saturating_sub(u64::from(sample_range)).max(1)
}

pub(super) fn dense_starts(num_frames: u32, sample_range: u32, num_clips: u32, start: u64) -> Vec<f64> {
    let step = u64::from(sample_range / num_clips);
    (0..u64::from(num_clips)).map(|clip| ((clip * step + start) % u64::from(num_frames)) as f64).collect()
}
