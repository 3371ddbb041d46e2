//! Checks for segments that no frame of their video can be in.

use super::Checker;
use crate::findings::{Findings, Occurrences};
use pipe_schemas::tables::VideoRow;

/// Lists give the length of a video rounded, or as another program measured it.
const MAX_OVERHANG_SECS: f64 = 1.0;

impl Checker<'_> {
    /// Reports segments that end before they begin, or are not inside their video. Returns which entries are in a split and have
    /// frames.
    pub(super) fn check_segments(&self, findings: &mut Findings) -> Vec<bool> {
        let entries = &self.resolved.entries;
        let mut usable: Vec<bool> = entries.iter().map(|entry| entry.split.is_some()).collect();
        let (mut reversed, mut outside) = (Occurrences::default(), Occurrences::default());
        for (row, usable) in usable.iter_mut().enumerate() {
            let Some(segment) = self.entry(row).segment.filter(|_| *usable) else { continue };
            let times = || format!("{}, {} to {} s", self.listing(row), segment.start_secs, segment.end_secs);
            if segment.end_secs <= segment.start_secs {
                reversed.add(times);
                *usable = false;
                continue;
            }
            let video = self.joined.matches[row].video.map(|video| &self.videos[video]);
            let Some(length) = video.and_then(length_secs) else { continue };
            if segment.start_secs >= length {
                outside.add(|| format!("{} of a video of {length:.2} s, which has no frame there", times()));
                *usable = false;
            } else if segment.end_secs > length + MAX_OVERHANG_SECS {
                outside.add(|| format!("{} of a video of {length:.2} s", times()));
            }
        }
        let (one, many) = ("segment ends before it begins", "segments end before they begin");
        findings.add_counted("segment_order", self.params.segment_order, reversed, one, many);
        let (one, many) = ("segment lies past the end of its video", "segments lie past the end of their videos");
        findings.add_counted("segment_range", self.params.segment_range, outside, one, many);
        usable
    }
}

/// Returns the length of a video, if it is known.
fn length_secs(video: &VideoRow) -> Option<f64> {
    let frames = video.frames_decoded.unwrap_or(video.frames_declared);
    (frames > 0 && video.fps_num > 0).then(|| frames as f64 * f64::from(video.fps_den) / f64::from(video.fps_num))
}
