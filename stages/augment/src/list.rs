//! [`List`]: the videos and segments of a list that samples can be drawn from.

use pipe_clips::VideoSegment;
use pipe_schemas::tables::{AnnotationRow, FrameIndexRow, Split};
use pipe_stage::{Context, StageError, grouped};
use pipe_tables::frames::FrameShards;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::ops::Range;

/// Segments without a frame that are told; the others are counted.
const MAX_TOLD: usize = 5;

/// The videos and segments of one list.
#[derive(Debug, Default)]
pub(crate) struct List<'a> {
    /// Those that can be drawn from, in the order of `video_id`, then of their times.
    pub(crate) videos: Vec<Video<'a>>,
    /// All that are listed.
    pub(crate) listed: u64,
    /// Those that `annotations` found.
    pub(crate) labelled: u64,
    /// Segments of stored videos that lie between two frames, or after the last: which, and where they are listed.
    pub(crate) without_frames: Vec<String>,
}

/// A video to draw from, or a segment of one, which is drawn from as if the video were that and no more.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Video<'a> {
    /// Its frames.
    pub(crate) frames: &'a FrameIndexRow,
    /// The part of it that is meant, if not all.
    pub(crate) segment: Option<Segment>,
    /// From 0, rising; one unless the labels are several.
    pub(crate) class_indices: Vec<u32>,
}

/// A part of a video.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    /// As listed.
    pub(crate) start_secs: f64,
    /// As listed.
    pub(crate) end_secs: f64,
    /// The stored frames that are shown from then on and before that.
    pub(crate) frames: Range<u32>,
}

impl Video<'_> {
    /// Returns the stored frames to draw from.
    pub(crate) fn frame_range(&self) -> Range<u32> {
        self.segment.as_ref().map_or(0..self.frames.num_frames, |segment| segment.frames.clone())
    }

    /// Returns the same with the size and the rate of the frames.
    pub(crate) fn stored(&self) -> VideoSegment {
        let FrameIndexRow { fps, width_px, height_px, .. } = *self.frames;
        VideoSegment { frames: self.frame_range(), fps, width_px, height_px }
    }

    /// Returns start and end, if it is a segment.
    pub(crate) fn times(&self) -> Option<(f64, f64)> {
        self.segment.as_ref().map(|segment| (segment.start_secs, segment.end_secs))
    }

    /// Returns what it is called in messages, and what names its draws.
    pub(crate) fn name(&self) -> String {
        name(&self.frames.video_id, self.times())
    }
}

/// Returns the first video, or segment, that has several labels.
pub(crate) fn with_several_labels(annotations: &[AnnotationRow]) -> Option<String> {
    let same =
        |a: &AnnotationRow, b: &AnnotationRow| (a.split, &a.video_id, times(a)) == (b.split, &b.video_id, times(b));
    let pair = annotations.windows(2).find(|pair| same(&pair[0], &pair[1]))?;
    Some(name(&pair[0].video_id, times(&pair[0])))
}

/// Returns `video_id`, or `video_id from 3 s to 4.5 s`.
pub(crate) fn name(video_id: &str, times: Option<(f64, f64)>) -> String {
    match times {
        Some((start, end)) => format!("{video_id} from {start} s to {end} s"),
        None => video_id.to_owned(),
    }
}

impl<'a> List<'a> {
    /// Reads which rows are of `split`, and for segments which frames they have. `annotations` are sorted.
    pub(crate) fn read(
        context: &Context,
        annotations: &[AnnotationRow],
        shards: &'a FrameShards,
        split: Split,
    ) -> Result<Self, StageError> {
        let videos = annotations.chunk_by(|a, b| (a.split, &a.video_id) == (b.split, &b.video_id));
        let videos: Vec<&[AnnotationRow]> = videos.filter(|rows| rows[0].split == split).collect();
        let read = |rows: &[AnnotationRow]| {
            context.check_cancelled()?;
            Self::of_video(rows, shards)
        };
        let pool = context.thread_pool()?;
        let parts: Vec<Result<Self, StageError>> = pool.install(|| videos.into_par_iter().map(read).collect());
        let mut all = Self::default();
        for part in parts {
            let Self { videos, listed, labelled, without_frames } = part?;
            all.videos.extend(videos);
            all.without_frames.extend(without_frames);
            (all.listed, all.labelled) = (all.listed + listed, all.labelled + labelled);
        }
        Ok(all)
    }

    /// Returns how many of the listed videos and segments no sample can be drawn from.
    pub(crate) fn num_missing(&self) -> u64 {
        self.listed - self.videos.len() as u64
    }

    /// Reads the rows of one video.
    fn of_video(rows: &[AnnotationRow], shards: &'a FrameShards) -> Result<Self, StageError> {
        let samples = rows.chunk_by(|a, b| times(a) == times(b));
        let mut list = Self { listed: samples.clone().count() as u64, ..Self::default() };
        if !rows[0].present {
            return Ok(list);
        }
        list.labelled = list.listed;
        let Some(frames) = shards.find(&rows[0].video_id) else { return Ok(list) };
        let pts_nanos =
            if rows.iter().any(|row| times(row).is_some()) { shards.pts_nanos(frames)? } else { Vec::new() };
        for sample in samples {
            let row = &sample[0];
            let segment = times(row).map(|times| segment(times, &pts_nanos));
            if segment.as_ref().is_some_and(|segment| segment.frames.is_empty()) {
                list.without_frames.push(without_frames(row, &pts_nanos));
            } else {
                let class_indices = sample.iter().map(|row| row.class_index).collect();
                list.videos.push(Video { frames, segment, class_indices });
            }
        }
        Ok(list)
    }

    /// Returns what to say of segments without a frame, if there are any. `part` is `training` or `test`.
    pub(crate) fn warning(&self, part: &str) -> Option<String> {
        let count = self.without_frames.len();
        let have = if count == 1 { "segment has" } else { "segments have" };
        let more =
            if count > MAX_TOLD { format!("; and {} more", grouped((count - MAX_TOLD) as u64)) } else { String::new() };
        let told = self.without_frames[..count.min(MAX_TOLD)].join("; ");
        (count > 0)
            .then(|| format!("{} {part} {have} no frame and can't be shown: {told}{more}", grouped(count as u64)))
    }
}

fn times(row: &AnnotationRow) -> Option<(f64, f64)> {
    row.start_secs.zip(row.end_secs)
}

/// Returns the segment with its frames: those whose time since the first one is in `[start, end)`. The times of frames rise,
/// and need not begin at 0: those of a broadcast count from somewhere else.
fn segment((start_secs, end_secs): (f64, f64), pts_nanos: &[i64]) -> Segment {
    let first_from = |secs: f64| {
        let nanos = pts_nanos.first().map_or(0, |first| first.saturating_add((secs * 1e9).round() as i64));
        pts_nanos.partition_point(|pts| *pts < nanos) as u32
    };
    let start = first_from(start_secs);
    Segment { start_secs, end_secs, frames: start..first_from(end_secs).max(start) }
}

/// Says which segment has no frame, where it is listed, and which frames there are.
fn without_frames(row: &AnnotationRow, pts_nanos: &[i64]) -> String {
    let nanos = pts_nanos.first().zip(pts_nanos.last()).map_or(0, |(first, last)| last.saturating_sub(*first));
    format!(
        "{} ({}:{}; the video's {} frames are from 0 s to {:.3} s)",
        name(&row.video_id, times(row)),
        row.source_file,
        row.source_line,
        grouped(pts_nanos.len() as u64),
        nanos as f64 / 1e9
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(times: (f64, f64), frames: Range<u32>) {
        // 10 frames a second, from 0 s on, or from another time.
        for first in [0, 200_000_000, -3, 8_000_000_000_000] {
            let pts_nanos: Vec<i64> = (0..10).map(|frame| first + 100_000_000 * frame).collect();
            assert_eq!(segment(times, &pts_nanos).frames, frames, "from {first}");
        }
    }

    #[test]
    fn a_segment_has_the_frames_from_its_start_to_before_its_end() {
        check((0.0, 9.0), 0..10);
        check((0.1, 0.4), 1..4);
        check((0.05, 0.45), 1..5);
        check((0.9, 1.0), 9..10);
        check((0.11, 0.19), 2..2);
        check((1.0, 5.0), 10..10);
        check((0.0, 0.0), 0..0);
        check((0.3, f64::MAX), 3..10);
    }
}
