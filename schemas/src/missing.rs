//! Listed videos and segments that have no samples, and why: [`MissingRow`] and [`MissingCounts`].

use crate::tables::Split;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A listed video or segment that has no samples. Sorted by `split`, `video_id` and times.
///
/// The rows of a split and its samples together are the list: `augment` leaves nothing else out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MissingRow {
    /// The list that contains it.
    pub split: Split,
    /// Id of the video in the list.
    pub video_id: String,
    /// Start of the segment; `None` for the whole video.
    pub start_secs: Option<f64>,
    /// End of the segment; `None` for the whole video.
    pub end_secs: Option<f64>,
    /// Why it has no samples.
    pub reason: MissingReason,
    /// Number of stored frames of the video or segment; 0 if the video has none.
    pub num_frames: u32,
    /// File of the list, or the folder whose name is the label.
    pub source_file: String,
    /// Line in the list, from 1; 0 if the label is the name of a folder.
    pub source_line: u32,
}

/// Why a listed video or segment has no samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingReason {
    /// `annotations` found no usable video.
    Absent,
    /// The frame shards do not have the video, for example because it could not be decoded.
    NotInShards,
    /// The segment contains no frame.
    NoFrames,
    /// The sampler draws no clip from so few frames.
    TooShort,
}

/// How many listed videos and segments have no samples, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingCounts {
    /// Number of those that `annotations` did not find as usable videos.
    pub num_absent: u64,
    /// Number of those that are not in the frame shards.
    pub num_not_in_shards: u64,
    /// Number of segments without a frame.
    pub num_without_frames: u64,
    /// Number of those from which the sampler draws no clip.
    pub num_too_short: u64,
}

impl MissingCounts {
    /// Counts the rows of `split`.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a MissingRow>, split: Split) -> Self {
        let mut counts = Self::default();
        for row in rows.into_iter().filter(|row| row.split == split) {
            *match row.reason {
                MissingReason::Absent => &mut counts.num_absent,
                MissingReason::NotInShards => &mut counts.num_not_in_shards,
                MissingReason::NoFrames => &mut counts.num_without_frames,
                MissingReason::TooShort => &mut counts.num_too_short,
            } += 1;
        }
        counts
    }

    /// Returns why nothing of a list, in which no more is listed than what is missing, has samples. `part` is `training` or `test`.
    pub fn why_no_samples(&self, part: &str) -> String {
        match self.total() {
            0 => format!("the {part} list is empty"),
            1 => format!("the only listed {part} video or segment is missing ({self})"),
            total => format!("all {total} listed {part} videos or segments are missing ({self})"),
        }
    }

    /// Returns the sum over all reasons.
    pub fn total(&self) -> u64 {
        let Self { num_absent, num_not_in_shards, num_without_frames, num_too_short } = *self;
        num_absent + num_not_in_shards + num_without_frames + num_too_short
    }
}

/// Lists the reasons that occur: `2 absent, 1 too short for the sampler`.
impl fmt::Display for MissingCounts {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Self { num_absent, num_not_in_shards, num_without_frames, num_too_short } = *self;
        let reasons = [
            (num_absent, "absent"),
            (num_not_in_shards, "not in the frame shards"),
            (num_without_frames, "without a frame"),
            (num_too_short, "too short for the sampler"),
        ];
        let texts: Vec<String> =
            reasons.iter().filter(|(count, _)| *count > 0).map(|(count, text)| format!("{count} {text}")).collect();
        out.write_str(&texts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_counted_once() {
        let row = |split, reason| MissingRow {
            split,
            video_id: "a".into(),
            start_secs: None,
            end_secs: None,
            reason,
            num_frames: 0,
            source_file: "list".into(),
            source_line: 1,
        };
        let reasons =
            [MissingReason::Absent, MissingReason::NotInShards, MissingReason::NoFrames, MissingReason::TooShort];
        let mut rows: Vec<_> = reasons.map(|reason| row(Split::Test, reason)).into();
        rows.push(row(Split::Train, MissingReason::Absent));
        rows.push(row(Split::Test, MissingReason::TooShort));
        let counts = MissingCounts::of(&rows, Split::Test);
        assert_eq!((counts.total(), MissingCounts::of(&rows, Split::Train).total()), (5, 1));
        let text = "1 absent, 1 not in the frame shards, 1 without a frame, 2 too short for the sampler";
        assert_eq!(counts.to_string(), text);
        assert_eq!(counts.why_no_samples("test"), format!("all 5 listed test videos or segments are missing ({text})"));
        let one = MissingCounts { num_absent: 1, ..MissingCounts::default() };
        assert_eq!(one.why_no_samples("test"), "the only listed test video or segment is missing (1 absent)");
        assert_eq!(MissingCounts::default().to_string(), "");
        assert_eq!(MissingCounts::default().why_no_samples("training"), "the training list is empty");
    }
}
