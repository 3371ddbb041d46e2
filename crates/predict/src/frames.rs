//! [`collect_frames`]: the images of a video that its views show.

use pipe_clips::samplers::{Timeline, test_clips};
use pipe_schemas::stages::augment::Sampler;
use pipe_schemas::stages::frames::{FrameRecipe, FrameSampling};
use pipe_video::{
    Decoder, FrameSampler, KeptFrame, KeptVideo, VideoError, VideoInfo, VideoStream, encode_kept, encode_stream,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Beyond so many declared frames, the number of frames is not predicted.
const MAX_PREDICTED: u64 = 1 << 20;

/// Which images of a video to collect.
#[derive(Debug, Clone, PartialEq)]
pub struct FramesTask {
    /// The video.
    pub path: PathBuf,
    /// How frames become images.
    pub recipe: FrameRecipe,
    /// The images that this sampler chooses, or all of them.
    pub sampler: Option<Sampler>,
}

/// What is known of a video after it was decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameSet {
    /// Number of frames that the recipe keeps.
    pub num_frames: u32,
    /// Width of an image.
    pub width_px: u32,
    /// Height of an image.
    pub height_px: u32,
    /// Average rate of the kept frames, in frames per second.
    pub fps: f64,
    /// What the decoder passed over; empty if the video is intact.
    pub damage: String,
}

impl FrameSet {
    /// Returns what samplers depend on.
    pub fn timeline(&self) -> Timeline {
        Timeline { num_frames: self.num_frames, fps: self.fps }
    }
}

/// Decodes a video, and passes each image of the task to `take`, and `None` for every other frame. Stops early when `take` returns
/// false.
///
/// Which frames a sampler chooses depends on their number, which only decoding determines. So the number is predicted from the
/// header of the file. If it turns out to be wrong, the video is decoded again, and `take` receives the images that are missing.
///
/// # Errors
/// [`VideoError`] if the video can't be decoded to its end.
pub fn collect_frames(
    task: &FramesTask,
    take: &mut dyn FnMut(Option<KeptFrame>) -> bool,
) -> Result<FrameSet, VideoError> {
    let Some(sampler) = &task.sampler else {
        return encode_kept(&task.path, task.recipe, &|_| true, take).map(FrameSet::from);
    };
    let predicted = predict_timeline(&task.path, task.recipe.sample)?;
    let chosen = chosen(sampler, predicted);
    let (mut sent, mut goes_on) = (BTreeSet::new(), true);
    let mut pass = |wanted: &BTreeSet<u32>| {
        encode_kept(&task.path, task.recipe, &|index| wanted.contains(&index), &mut |frame| {
            sent.extend(frame.map(|frame| frame.index));
            goes_on = take(frame);
            goes_on
        })
    };
    let found = FrameSet::from(pass(&chosen)?);
    let missing: BTreeSet<u32> = self::chosen(sampler, found.timeline()).difference(&chosen).copied().collect();
    if !missing.is_empty() {
        pass(&missing)?;
    }
    Ok(found)
}

/// Opens a stream, as [`VideoStream::open`] does, and passes all of its kept frames to `take`, and `None` for every other frame. `opened`
/// receives whether the stream is live. Stops when `take` returns false.
///
/// # Errors
/// [`VideoError`] if the stream can't be opened, or fails before its end.
pub fn stream_frames(
    url: &str,
    recipe: FrameRecipe,
    opened: impl FnOnce(bool),
    take: &mut dyn FnMut(Option<KeptFrame>) -> bool,
) -> Result<FrameSet, VideoError> {
    let stream = VideoStream::open(url)?;
    opened(stream.is_live());
    encode_stream(stream, recipe, take).map(FrameSet::from)
}

/// Returns the frames that a sampler chooses.
fn chosen(sampler: &Sampler, timeline: Timeline) -> BTreeSet<u32> {
    // A video without frames has no clips.
    test_clips(sampler, timeline).unwrap_or_default().into_iter().flatten().collect()
}

/// Returns how many frames a sampling keeps if the header of the file is right, and at which rate.
fn predict_timeline(path: &Path, sampling: FrameSampling) -> Result<Timeline, VideoError> {
    let VideoInfo { frames_declared, fps_num, fps_den, .. } = *Decoder::open(path)?.info();
    let fps = f64::from(fps_num) / f64::from(fps_den);
    if frames_declared > MAX_PREDICTED || fps <= 0.0 {
        return Ok(Timeline { num_frames: 0, fps });
    }
    let mut sampler = FrameSampler::new(sampling, frames_declared);
    let time = |index: u64| (index as f64 * 1e9 / fps).round() as i64;
    let kept: Vec<i64> =
        (0..frames_declared).filter(|&index| sampler.keeps(index, time(index), time(index + 1))).map(time).collect();
    let seconds = kept.last().zip(kept.first()).map_or(0.0, |(last, first)| (last - first) as f64 / 1e9);
    let rate = if seconds > 0.0 { (kept.len() - 1) as f64 / seconds } else { fps };
    Ok(Timeline { num_frames: kept.len() as u32, fps: rate })
}

impl From<KeptVideo> for FrameSet {
    fn from(video: KeptVideo) -> Self {
        let KeptVideo { num_frames, width_px, height_px, fps, damage } = video;
        Self { num_frames, width_px, height_px, fps, damage }
    }
}
