//! [`annotate`]: a copy of a video with its predictions written on its frames.

use pipe_pictures::caption;
use pipe_schemas::stages::frames::FrameResize;
use pipe_video::{Decoder, Encoder, EncoderParams, FrameScaler, VideoError, stored_size};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Longest side of the copy, in pixels.
const MAX_SIDE_PX: u32 = 1280;

/// Highest frame rate of the copy.
const MAX_FPS: u32 = 60;

/// The frame rate of the copy if the container declares none.
const DEFAULT_FPS: u32 = 25;

/// A longer pause between two frames is shortened to this.
const MAX_PAUSE_SECS: f64 = 10.0;

/// Quantizer of MPEG-4.
const QUANTIZER: u32 = 3;

/// A text that is shown from a time to another, in seconds from the first frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Caption {
    /// When it begins.
    pub start_secs: f64,
    /// When it ends.
    pub end_secs: f64,
    /// What is shown.
    pub text: String,
}

/// What is written on a video.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Captions {
    /// Predictions, in the order of their starts. Of several at a time, the last is shown.
    pub predictions: Vec<Caption>,
    /// Events, shown as alerts.
    pub alerts: Vec<Caption>,
}

impl Captions {
    /// Returns the text at a time.
    fn text(&self, secs: f64) -> &str {
        last_at(&self.predictions, secs).map_or("", |caption| caption.text.as_str())
    }

    fn alert(&self, secs: f64) -> Option<&str> {
        last_at(&self.alerts, secs).map(|caption| caption.text.as_str())
    }
}

/// Times are nanoseconds in videos.
const EPSILON_SECS: f64 = 1e-9;

fn last_at(captions: &[Caption], secs: f64) -> Option<&Caption> {
    let is_shown =
        |caption: &&Caption| caption.start_secs <= secs + EPSILON_SECS && secs + EPSILON_SECS < caption.end_secs;
    captions.iter().rev().find(is_shown)
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnotatedVideo {
    /// What pauses of more than 10 s were shortened by, in seconds.
    pub shortened_secs: f64,
    /// Why the copy ends before the video does; empty if it does not.
    pub ends_early: String,
}

impl AnnotatedVideo {
    /// Returns in which ways the copy is not as long as the video; empty if it is.
    pub fn differences(&self) -> String {
        let pauses = format!("pauses are shortened by {:.0} s", self.shortened_secs);
        let ending = format!("it ends early: {}", self.ends_early);
        let texts = [(self.shortened_secs > 0.0, pauses), (!self.ends_early.is_empty(), ending)];
        texts.into_iter().filter_map(|(holds, text)| holds.then_some(text)).collect::<Vec<_>>().join("; ")
    }
}

/// Decodes a video, and writes an MP4 file with its captions: at most 1280 px wide or high, at a constant frame rate. `on_frame` is called
/// after each frame of the video; if it returns false, the copy ends there.
///
/// # Errors
/// [`VideoError`] if the video has no frame, or the file can't be written. A video that fails later gives a copy that ends early.
pub fn annotate(
    path: &Path,
    target: &Path,
    captions: &Captions,
    on_frame: &mut dyn FnMut() -> bool,
) -> Result<AnnotatedVideo, VideoError> {
    let mut frames = Decoder::open(path)?;
    let info = frames.info();
    let (orientation, declared) = (info.orientation, f64::from(info.fps_num) / f64::from(info.fps_den.max(1)));
    let fps = if declared > 0.0 { (declared.round() as u32).clamp(1, MAX_FPS) } else { DEFAULT_FPS };
    let first = frames.next().ok_or(VideoError::NoFrames)??;
    let (width_px, height_px) = limited(stored_size(&first, orientation, true, FrameResize::None));
    let mut scaler = FrameScaler::new(width_px, height_px, orientation)?;
    let mut encoder = Encoder::create(target, EncoderParams { width_px, height_px, fps, quantizer: QUANTIZER })?;
    let (mut clock, mut last, mut ends_early) = (Clock::new(first.pts_nanos(), fps), Vec::new(), String::new());
    for frame in std::iter::once(Ok(first)).chain(frames.by_ref()) {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                ends_early = error.judge().1;
                break;
            }
        };
        let (secs, num_repeats, is_shown) = clock.tick(frame.pts_nanos());
        for _ in 0..num_repeats {
            encoder.write_rgb(&last)?;
        }
        if is_shown {
            let pixels = scaler.scale_rgb(&frame)?.pixels.clone();
            last = caption(pixels, width_px as usize, captions.text(secs), captions.alert(secs));
            encoder.write_rgb(&last)?;
        }
        if !on_frame() {
            break;
        }
    }
    encoder.finish()?;
    Ok(AnnotatedVideo { shortened_secs: clock.skipped_secs, ends_early })
}

/// Returns the size of the copy: even, because the encoder halves the colour planes, and at most [`MAX_SIDE_PX`].
fn limited((width_px, height_px): (u32, u32)) -> (u32, u32) {
    let long = width_px.max(height_px);
    let side = |side: u32| {
        let scaled =
            if long > MAX_SIDE_PX { u64::from(side) * u64::from(MAX_SIDE_PX) / u64::from(long) } else { side.into() };
        ((scaled as u32) & !1).max(2)
    };
    (side(width_px), side(height_px))
}

/// Places frames at a constant rate.
struct Clock {
    first_nanos: i64,
    fps: u32,
    /// What pauses were shortened by.
    skipped_secs: f64,
    last_secs: f64,
    num_written: u64,
}

impl Clock {
    fn new(first_nanos: i64, fps: u32) -> Self {
        Self { first_nanos, fps, skipped_secs: 0.0, last_secs: 0.0, num_written: 0 }
    }

    /// Returns the time of the next frame, how often the frame before it is repeated, and whether it is shown itself.
    fn tick(&mut self, pts_nanos: i64) -> (f64, u64, bool) {
        let secs = pts_nanos.saturating_sub(self.first_nanos).max(0) as f64 / 1e9;
        self.skipped_secs += (secs - self.last_secs - MAX_PAUSE_SECS).max(0.0);
        self.last_secs = secs;
        let place = ((secs - self.skipped_secs) * f64::from(self.fps)).round() as u64;
        if self.num_written > 0 && place < self.num_written {
            return (secs, 0, false);
        }
        let num_repeats = place - self.num_written;
        self.num_written = place + 1;
        (secs, num_repeats, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_caption_that_has_begun_is_shown() {
        let caption = |start_secs, end_secs, text: &str| Caption { start_secs, end_secs, text: text.into() };
        let captions = Captions {
            predictions: vec![caption(0.0, 2.0, "a"), caption(1.0, 3.0, "b")],
            alerts: vec![caption(2.5, 3.0, "c")],
        };
        assert_eq!([0.0, 0.9, 1.0, 2.9, 3.0].map(|secs| captions.text(secs)), ["a", "a", "b", "b", ""]);
        assert_eq!([2.4, 2.5, 3.0].map(|secs| captions.alert(secs)), [None, Some("c"), None]);
    }

    #[test]
    fn frames_keep_their_times_at_a_constant_rate() {
        let places = |fps: u32, times: &[f64]| -> Vec<(u64, bool)> {
            let mut clock = Clock::new(7_000_000_000, fps);
            let nanos = |secs: &f64| 7_000_000_000 + (secs * 1e9) as i64;
            times.iter().map(|secs| clock.tick(nanos(secs))).map(|(_, repeats, shown)| (repeats, shown)).collect()
        };
        assert_eq!(places(10, &[0.0, 0.1, 0.2]), [(0, true), (0, true), (0, true)]);
        assert_eq!(places(10, &[0.0, 0.3, 0.31, 0.4]), [(0, true), (2, true), (0, false), (0, true)]);
        let copy = AnnotatedVideo { shortened_secs: 3590.0, ends_early: "cut".into() };
        assert_eq!(copy.differences(), "pauses are shortened by 3590 s; it ends early: cut");
        // A pause of an hour is shortened to ten seconds.
        assert_eq!(places(10, &[0.0, 3600.0, 3600.1]), [(0, true), (99, true), (0, true)]);
    }

    #[test]
    fn copies_have_even_sides_of_at_most_1280() {
        assert_eq!(limited((320, 241)), (320, 240));
        assert_eq!(limited((3840, 2160)), (1280, 720));
        assert_eq!(limited((1, 16_000)), (2, 1280));
    }
}
