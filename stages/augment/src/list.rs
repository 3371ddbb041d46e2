//! [`List`]: the listed videos and segments that samples can be drawn from.

use crate::missing::Missing;
use pipe_clips::VideoSegment;
use pipe_clips::samplers::min_frames;
use pipe_schemas::stages::augment::Sampler;
use pipe_schemas::tables::{AnnotationRow, FrameIndexRow, MissingCounts, MissingReason, Split};
use pipe_stage::{Context, StageError, grouped};
use pipe_tables::frames::FrameShards;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::ops::Range;

/// The videos and segments of one list. Each of them is either in `videos` or in `missing`.
#[derive(Debug, Default)]
pub(crate) struct List<'a> {
    /// Videos and segments that can be drawn from, sorted by `video_id`, then by their times.
    pub(crate) videos: Vec<Video<'a>>,
    /// The others, in the same order.
    pub(crate) missing: Vec<Missing>,
}

/// A video, or a segment of one. Samples of a segment are drawn as from a video that consists of the segment alone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Video<'a> {
    /// Row of the frame index.
    pub(crate) frames: &'a FrameIndexRow,
    /// The segment; `None` for the whole video.
    pub(crate) segment: Option<Segment>,
    /// Labels, ascending; one unless a video may have several.
    pub(crate) class_indices: Vec<u32>,
}

/// A part of a video.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    /// Start in the list.
    pub(crate) start_secs: f64,
    /// End in the list.
    pub(crate) end_secs: f64,
    /// Stored frames from the start to before the end.
    pub(crate) frames: Range<u32>,
}

impl Video<'_> {
    /// Returns the stored frames to draw from.
    pub(crate) fn frame_range(&self) -> Range<u32> {
        self.segment.as_ref().map_or(0..self.frames.num_frames, |segment| segment.frames.clone())
    }

    /// Returns these frames with their size and rate.
    pub(crate) fn stored(&self) -> VideoSegment {
        let FrameIndexRow { fps, width_px, height_px, .. } = *self.frames;
        VideoSegment { frames: self.frame_range(), fps, width_px, height_px }
    }

    /// Returns start and end, if it is a segment.
    pub(crate) fn times(&self) -> Option<(f64, f64)> {
        self.segment.as_ref().map(|segment| (segment.start_secs, segment.end_secs))
    }

    /// Returns the name for messages, which also seeds the draws.
    pub(crate) fn name(&self) -> String {
        name(&self.frames.video_id, self.times())
    }
}

/// Returns the name of the first video or segment with several labels.
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
    /// Selects the rows of `split` and finds the frames of segments. `annotations` are sorted. `sampler` draws the clips.
    pub(crate) fn read(
        context: &Context,
        annotations: &[AnnotationRow],
        shards: &'a FrameShards,
        split: Split,
        sampler: &Sampler,
    ) -> Result<Self, StageError> {
        let videos = annotations.chunk_by(|a, b| (a.split, &a.video_id) == (b.split, &b.video_id));
        let videos: Vec<&[AnnotationRow]> = videos.filter(|rows| rows[0].split == split).collect();
        let min_frames = min_frames(sampler);
        let read = |rows: &[AnnotationRow]| {
            context.check_cancelled()?;
            Self::of_video(rows, shards, min_frames)
        };
        let pool = context.thread_pool()?;
        let parts: Vec<Result<Self, StageError>> = pool.install(|| videos.into_par_iter().map(read).collect());
        let mut all = Self::default();
        for part in parts {
            let Self { videos, missing } = part?;
            all.videos.extend(videos);
            all.missing.extend(missing);
        }
        Ok(all)
    }

    /// Returns the number of listed videos and segments.
    pub(crate) fn num_listed(&self) -> u64 {
        (self.videos.len() + self.missing.len()) as u64
    }

    /// Returns how many of them no sample can be drawn from, by reason.
    pub(crate) fn num_missing(&self) -> MissingCounts {
        let splits = self.missing.first().map(|missing| missing.row.split);
        splits.map_or_else(MissingCounts::default, |split| {
            MissingCounts::of(self.missing.iter().map(|missing| &missing.row), split)
        })
    }

    /// Returns whether the list consists of segments, at least in part.
    pub(crate) fn has_segments(&self) -> bool {
        self.videos.iter().any(|video| video.segment.is_some())
            || self.missing.iter().any(|missing| missing.row.start_secs.is_some())
    }

    /// Finds the frames of one video.
    fn of_video(rows: &[AnnotationRow], shards: &'a FrameShards, min_frames: u32) -> Result<Self, StageError> {
        let mut list = Self::default();
        let frames = rows[0].present.then(|| shards.find(&rows[0].video_id)).flatten();
        let has_segments = rows.iter().any(|row| times(row).is_some());
        let pts_nanos = match frames {
            Some(frames) if has_segments => shards.pts_nanos(frames)?,
            _ => Vec::new(),
        };
        for labels in rows.chunk_by(|a, b| times(a) == times(b)) {
            let row = &labels[0];
            let Some(frames) = frames else {
                let reason = if row.present { MissingReason::NotInShards } else { MissingReason::Absent };
                list.missing.push(Missing::new(row, reason, 0, ""));
                continue;
            };
            let segment = times(row).map(|times| segment(times, &pts_nanos));
            let class_indices = labels.iter().map(|row| row.class_index).collect();
            let video = Video { frames, segment, class_indices };
            match video.frame_range().len() as u32 {
                0 => list.missing.push(Missing::new(row, MissingReason::NoFrames, 0, &all_frames(frames, &pts_nanos))),
                few if few < min_frames => {
                    let plural = if few == 1 { "" } else { "s" };
                    let text = format!("{} frame{plural}", grouped(u64::from(few)));
                    list.missing.push(Missing::new(row, MissingReason::TooShort, few, &text));
                }
                _ => list.videos.push(video),
            }
        }
        Ok(list)
    }
}

fn times(row: &AnnotationRow) -> Option<(f64, f64)> {
    row.start_secs.zip(row.end_secs)
}

/// Returns the segment with its frames: those whose time since the first frame is in `[start, end)`. The times of frames are
/// ascending. They need not begin at 0: those of a recorded broadcast do not.
fn segment((start_secs, end_secs): (f64, f64), pts_nanos: &[i64]) -> Segment {
    let first_from = |secs: f64| {
        let nanos = pts_nanos.first().map_or(0, |first| first.saturating_add((secs * 1e9).round() as i64));
        pts_nanos.partition_point(|pts| *pts < nanos) as u32
    };
    let start = first_from(start_secs);
    Segment { start_secs, end_secs, frames: start..first_from(end_secs).max(start) }
}

/// Describes the frames of a video that has none in a segment. `pts_nanos` are their times if the video has segments.
fn all_frames(frames: &FrameIndexRow, pts_nanos: &[i64]) -> String {
    let Some((first, last)) = pts_nanos.first().zip(pts_nanos.last()) else {
        return format!("the video has {} frames", grouped(u64::from(frames.num_frames)));
    };
    format!(
        "the video's {} frames are from 0 s to {:.3} s",
        grouped(pts_nanos.len() as u64),
        last.saturating_sub(*first) as f64 / 1e9
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
    fn a_segment_contains_the_frames_from_its_start_to_before_its_end() {
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
