//! [`Missing`]: a listed video or segment that has no samples, and [`warnings`] about all of them.

use pipe_clips::samplers::min_frames;
use pipe_schemas::stages::augment::Sampler;
use pipe_schemas::tables::{AnnotationRow, MissingReason, MissingRow};
use pipe_stage::grouped;

/// Maximum number of videos or segments that a warning names. The table has all.
const MAX_NAMED: usize = 5;

/// A listed video or segment that has no samples.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Missing {
    pub(crate) row: MissingRow,
    /// The name with its place in the list and its frames, for messages.
    pub(crate) name: String,
}

impl Missing {
    /// Describes the loss of an annotated video or segment of `num_frames` stored frames. `frames` is what its name says of them.
    pub(crate) fn new(row: &AnnotationRow, reason: MissingReason, num_frames: u32, frames: &str) -> Self {
        let AnnotationRow { video_id, split, start_secs, end_secs, source_file, source_line, .. } = row;
        let place = if *source_line == 0 { source_file.clone() } else { format!("{source_file}:{source_line}") };
        let details: Vec<&str> = [place.as_str(), frames].into_iter().filter(|text| !text.is_empty()).collect();
        let name = format!("{} ({})", crate::list::name(video_id, start_secs.zip(*end_secs)), details.join("; "));
        let row = MissingRow {
            split: *split,
            video_id: video_id.clone(),
            start_secs: *start_secs,
            end_secs: *end_secs,
            reason,
            num_frames,
            source_file: source_file.clone(),
            source_line: *source_line,
        };
        Self { row, name }
    }
}

/// Returns a warning for each reason that is first found by this stage. `part` is `training` or `test`.
///
/// Absent videos are findings of `annotations`, which the user may have turned off, so that they are only counted here.
pub(crate) fn warnings(missing: &[Missing], part: &str, sampler: &Sampler) -> Vec<String> {
    let warning = |reason, one: &str, several: &str| {
        let of_reason: Vec<&Missing> = missing.iter().filter(|missing| missing.row.reason == reason).collect();
        let count = of_reason.len();
        let is_segment = |missing: &&Missing| missing.row.start_secs.is_some();
        let unit = if of_reason.iter().any(is_segment) { "segment" } else { "video" };
        let (plural, text) = if count == 1 { ("", one) } else { ("s", several) };
        let named: Vec<&str> = of_reason.iter().take(MAX_NAMED).map(|missing| missing.name.as_str()).collect();
        let more = if count > MAX_NAMED {
            format!("; and {} more, see `missing.parquet`", grouped((count - MAX_NAMED) as u64))
        } else {
            String::new()
        };
        (count > 0)
            .then(|| format!("{} {part} {unit}{plural} {text}: {}{more}", grouped(count as u64), named.join("; ")))
    };
    let needed = format!("`{}` needs at least {} frames", sampler.name(), min_frames(sampler));
    [
        warning(
            MissingReason::NotInShards,
            "is not in the frame shards and can't be shown",
            "are not in the frame shards and can't be shown",
        ),
        warning(MissingReason::NoFrames, "contains no frame and can't be shown", "contain no frame and can't be shown"),
        warning(
            MissingReason::TooShort,
            &format!("is too short and can't be shown, because {needed}"),
            &format!("are too short and can't be shown, because {needed}"),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
