//! Which frames of a video make a clip: [`train_clips`] and [`test_clips`]. Each sampler has a file of its own.
//!
//! With `clip_len: 1` the `num_clips` frames of `SampleFrames` and `DenseSampleFrames` are the segments of one clip (TSN, TSM).
//! Otherwise each of the `num_clips` clips is independent. Both functions return clips in this sense.

mod dense_sample_frames;
mod sample_frames;
mod uniform_sample;
mod uniform_sample_frames;
mod untrimmed_sample_frames;

use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::{OutOfBound, Sampler};

/// The facts about a video that samplers depend on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timeline {
    /// Number of stored frames.
    pub num_frames: u32,
    /// Average rate of the stored frames; 0 if it is unknown.
    pub fps: f64,
}

/// One sampler. The video has at least one frame.
trait ClipSampler {
    /// Returns `T`.
    fn frames_per_clip(&self) -> u32;

    /// Returns the number of frames that a video needs for a clip to be drawn from it.
    fn min_frames(&self) -> u32 {
        1
    }

    /// Returns the frame indices of random clips.
    fn train(&self, video: Timeline, draws: &mut Draws) -> Vec<Vec<u32>>;

    /// Returns the frame indices of the same clips every time.
    fn test(&self, video: Timeline) -> Vec<Vec<u32>>;
}

fn sampler(sampler: &Sampler) -> &dyn ClipSampler {
    match sampler {
        Sampler::SampleFrames(params) => params,
        Sampler::DenseSampleFrames(params) => params,
        Sampler::UniformSample(params) => params,
        Sampler::UniformSampleFrames(params) => params,
        Sampler::UntrimmedSampleFrames(params) => params,
    }
}

/// Returns `T`, the number of frames in each clip that a sampler makes.
pub fn frames_per_clip(params: &Sampler) -> u32 {
    sampler(params).frames_per_clip()
}

/// Returns the number of frames that a video needs for a clip to be drawn from it. With fewer frames, there are no clips.
pub fn min_frames(params: &Sampler) -> u32 {
    sampler(params).min_frames()
}

/// Returns the frame indices of the clips for training, `T` in each. There are none if the video has fewer than [`min_frames`].
///
/// # Errors
/// [`ClipError::NoFrames`] if the video has no frames.
pub fn train_clips(params: &Sampler, video: Timeline, draws: &mut Draws) -> Result<Vec<Vec<u32>>, ClipError> {
    if video.num_frames == 0 { Err(ClipError::NoFrames) } else { Ok(sampler(params).train(video, draws)) }
}

/// Returns the frame indices of the clips for testing, `T` in each. They are the same every time. There are none if the video has
/// fewer than [`min_frames`].
///
/// # Errors
/// [`ClipError::NoFrames`] if the video has no frames.
pub fn test_clips(params: &Sampler, video: Timeline) -> Result<Vec<Vec<u32>>, ClipError> {
    if video.num_frames == 0 { Err(ClipError::NoFrames) } else { Ok(sampler(params).test(video)) }
}

/// Returns the distance of each frame of a clip from its first.
fn even_offsets(clip_len: u32, frame_interval: u32) -> Vec<f64> {
    (0..clip_len).map(|frame| f64::from(frame) * f64::from(frame_interval)).collect()
}

/// Returns the frames of a clip at each of `starts`, not yet limited to the video.
fn clips_at(starts: &[f64], offsets: &[f64]) -> Vec<Vec<f64>> {
    starts.iter().map(|start| offsets.iter().map(|offset| start + offset).collect()).collect()
}

/// Returns indices that are all in the video. Clips of a single frame become the segments of one clip, `num_clips` of them.
fn indices_of(clips: &[Vec<f64>], num_frames: u32, out_of_bound: OutOfBound, num_clips: u32) -> Vec<Vec<u32>> {
    let clips = in_bound(clips, num_frames, out_of_bound);
    if clips.iter().any(|clip| clip.len() > 1) {
        return clips;
    }
    clips.chunks(num_clips as usize).map(<[Vec<u32>]>::concat).collect()
}

/// Fractions are cut off after the wrap, as in MMAction2.
fn in_bound(clips: &[Vec<f64>], num_frames: u32, out_of_bound: OutOfBound) -> Vec<Vec<u32>> {
    let end = f64::from(num_frames);
    let clip = |indices: &Vec<f64>| {
        let last = indices.iter().copied().filter(|index| *index < end).fold(0.0, f64::max);
        let within = |index: &f64| match out_of_bound {
            OutOfBound::Loop => *index % end,
            OutOfBound::RepeatLast if *index < end => *index,
            OutOfBound::RepeatLast => last,
        };
        indices.iter().map(|index| within(index) as u32).collect()
    };
    clips.iter().map(clip).collect()
}

#[cfg(test)]
mod tests;
