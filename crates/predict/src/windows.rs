//! [`Windows`]: the parts of a long video that are predicted one by one, and [`Smoothing`].

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Which parts of a video are predicted: `[0, length)`, `[stride, stride + length)` and so on, in seconds from its first frame. The last
/// window is the one that contains the last frame and begins before it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Windows {
    /// Length of a window, in seconds.
    pub length_secs: f64,
    /// Time between the starts of two windows, in seconds.
    pub stride_secs: f64,
}

/// A window whose frames are all known.
#[derive(Debug, Clone, PartialEq)]
pub struct Window<F> {
    /// Start, in seconds from the first frame.
    pub start_secs: f64,
    /// End, in seconds from the first frame.
    pub end_secs: f64,
    /// The frames from the start to before the end.
    pub frames: Vec<F>,
}

/// Longest pause of a video, in windows, of which each is a row. The times in a file may be any number.
const MAX_EMPTY: u64 = 1000;

/// Later frames count as of this time: 73 years. Beyond, the ends of windows can't be distinguished.
const MAX_NANOS: i64 = i64::MAX / 4;

/// Collects the frames of windows. It holds the frames of one window, whatever the length of the video.
#[derive(Debug)]
pub struct WindowFrames<F> {
    windows: Windows,
    first_nanos: Option<i64>,
    /// The number of the window that is collected.
    number: u64,
    frames: VecDeque<(i64, F)>,
}

impl Windows {
    /// Returns start and end of a window, in seconds.
    pub fn times(&self, number: u64) -> (f64, f64) {
        let start = number as f64 * self.stride_secs;
        (start, start + self.length_secs)
    }

    /// Returns what is wrong with the values.
    pub fn problem(&self) -> Option<String> {
        let right = |value: f64| value.is_finite() && (0.001..=86_400.0).contains(&value);
        let wrong = |name: &str, value: f64| format!("the {name} is {value:?} s, expected 0.001 to 86400");
        if !right(self.length_secs) {
            return Some(wrong("length of a window", self.length_secs));
        }
        (!right(self.stride_secs)).then(|| wrong("stride", self.stride_secs))
    }
}

impl<F: Clone> WindowFrames<F> {
    /// Returns a collector without frames.
    pub fn new(windows: Windows) -> Self {
        Self { windows, first_nanos: None, number: 0, frames: VecDeque::new() }
    }

    /// Adds the next frame, and returns the windows that end before it.
    pub fn add(&mut self, pts_nanos: i64, frame: F) -> Vec<Window<F>> {
        let first = *self.first_nanos.get_or_insert(pts_nanos);
        let at_nanos = pts_nanos.saturating_sub(first).min(MAX_NANOS);
        let mut complete = Vec::new();
        while nanos(self.windows.times(self.number).1) <= at_nanos {
            let window = self.long_pause(at_nanos).unwrap_or_else(|| self.next_window());
            complete.push(window);
        }
        if at_nanos >= nanos(self.windows.times(self.number).0) {
            self.frames.push_back((at_nanos, frame));
        }
        complete
    }

    /// Returns one window for all that are without frames and end before a time, if they are more than [`MAX_EMPTY`], and passes over them.
    fn long_pause(&mut self, at_nanos: i64) -> Option<Window<F>> {
        let Windows { length_secs, stride_secs } = self.windows;
        let last = ((at_nanos as f64 / 1e9 - length_secs) / stride_secs).floor() as u64;
        if !self.frames.is_empty() || last.saturating_sub(self.number) <= MAX_EMPTY {
            return None;
        }
        let (start_secs, end_secs) = (self.windows.times(self.number).0, self.windows.times(last).1);
        self.number = last + 1;
        Some(Window { start_secs, end_secs, frames: Vec::new() })
    }

    /// Returns the last windows: those that begin at or before the last frame.
    pub fn finish(mut self) -> Vec<Window<F>> {
        let mut complete = Vec::new();
        while let Some((last, _)) = self.frames.back()
            && nanos(self.windows.times(self.number).0) <= *last
        {
            complete.push(self.next_window());
        }
        complete
    }

    /// Returns the window that is collected, and begins the next.
    fn next_window(&mut self) -> Window<F> {
        let (start_secs, end_secs) = self.windows.times(self.number);
        let in_window = self.frames.iter().filter(|(at, _)| *at < nanos(end_secs));
        let frames = in_window.map(|(_, frame)| frame.clone()).collect();
        self.number += 1;
        let next_start = nanos(self.windows.times(self.number).0);
        while self.frames.front().is_some_and(|(at, _)| *at < next_start) {
            self.frames.pop_front();
        }
        Window { start_secs, end_secs, frames }
    }
}

/// Rounds as the times of labelled segments are rounded.
fn nanos(secs: f64) -> i64 {
    (secs * 1e9).round() as i64
}

/// Replaces the probabilities of each window by their mean over `count` windows: the window itself and those before it.
#[derive(Debug, Clone)]
pub struct Smoothing {
    count: usize,
    last: VecDeque<Vec<f32>>,
}

impl Smoothing {
    /// Returns the mean over `count` windows, at least 1; over those that exist at the start of a video.
    pub fn new(count: usize) -> Self {
        Self { count: count.max(1), last: VecDeque::new() }
    }

    /// Returns the smoothed probabilities of the next window.
    pub fn add(&mut self, probabilities: Vec<f32>) -> Vec<f32> {
        self.last.push_back(probabilities);
        if self.last.len() > self.count {
            self.last.pop_front();
        }
        let len = self.last.iter().map(Vec::len).min().unwrap_or_default();
        let mean = |class: usize| {
            let sum: f64 = self.last.iter().map(|window| f64::from(window[class])).sum();
            (sum / self.last.len() as f64) as f32
        };
        (0..len).map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the windows of ten frames per second: start in tenths of a second and frames.
    fn collect(length_secs: f64, stride_secs: f64, num_frames: i64, first_nanos: i64) -> Vec<(i64, Vec<i64>)> {
        let mut collector = WindowFrames::new(Windows { length_secs, stride_secs });
        let mut found = Vec::new();
        for frame in 0..num_frames {
            found.extend(collector.add(first_nanos + frame * 100_000_000, frame));
            assert!(collector.frames.len() as f64 <= length_secs * 10.0 + 1.0, "frames of one window");
        }
        found.extend(collector.finish());
        found.into_iter().map(|window| ((window.start_secs * 10.0).round() as i64, window.frames)).collect()
    }

    #[test]
    fn windows_contain_the_frames_from_their_start_to_before_their_end() {
        for first in [0, -5, 7_000_000_000] {
            let expect = [(0, vec![0, 1, 2, 3]), (2, vec![2, 3, 4, 5]), (4, vec![4, 5, 6]), (6, vec![6])];
            assert_eq!(collect(0.4, 0.2, 7, first), expect);
            // Gaps between windows.
            assert_eq!(collect(0.2, 0.5, 7, first), [(0, vec![0, 1]), (5, vec![5, 6])]);
            assert_eq!(collect(0.2, 0.5, 4, first), [(0, vec![0, 1])]);
            assert_eq!(collect(9.0, 1.0, 3, first), [(0, vec![0, 1, 2])]);
        }
        assert!(collect(0.4, 0.2, 0, 0).is_empty());
    }

    #[test]
    fn a_pause_gives_windows_without_frames() {
        let mut collector = WindowFrames::new(Windows { length_secs: 1.0, stride_secs: 1.0 });
        assert!(collector.add(0, 'a').is_empty());
        let found = collector.add(3_500_000_000, 'b');
        let frames: Vec<_> = found.into_iter().map(|window| window.frames).collect();
        assert_eq!(frames, [vec!['a'], vec![], vec![]]);
        assert_eq!(collector.finish()[0].frames, ['b']);
    }

    #[test]
    fn a_pause_of_years_is_one_window() {
        for end_nanos in [3_600_000_000_000_000, MAX_NANOS, i64::MAX] {
            let mut collector = WindowFrames::new(Windows { length_secs: 1.0, stride_secs: 0.5 });
            assert!(collector.add(0, 'a').is_empty());
            let found = collector.add(end_nanos, 'b');
            let frames: Vec<usize> = found.iter().map(|window| window.frames.len()).collect();
            assert!(frames.len() <= 4 && frames[0] == 1 && frames[1..].iter().all(|count| *count == 0), "{frames:?}");
            let end_secs = end_nanos.min(MAX_NANOS) as f64 / 1e9;
            let last = found.last().expect("windows");
            assert!((end_secs - 2.0..=end_secs + 1.0).contains(&last.end_secs), "{last:?}");
            assert!(collector.finish().iter().any(|window| window.frames == ['b']));
        }
    }

    #[test]
    fn probabilities_are_averaged_over_the_last_windows() {
        let mut smoothing = Smoothing::new(2);
        let found: Vec<_> = [1.0, 0.0, 0.5].map(|p: f32| smoothing.add(vec![p, 1.0 - p])).into();
        assert_eq!(found, [[1.0, 0.0], [0.5, 0.5], [0.25, 0.75]]);
        assert_eq!(Smoothing::new(0).add(vec![0.25]), [0.25]);
    }

    #[test]
    fn absurd_windows_are_refused() {
        let check = |length_secs, stride_secs| Windows { length_secs, stride_secs }.problem();
        assert_eq!(check(1.0, 0.5), None);
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(check(wrong, 1.0).is_some() && check(1.0, wrong).is_some(), "{wrong}");
        }
    }
}
