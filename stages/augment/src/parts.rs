//! [`Part`]: the rows of one epoch, or the test views, and what determines them.
//!
//! | determines an epoch | left out |
//! |---|---|
//! | its number, `seed`, `train`, `num_sample`, `epoch_videos`, `blending` | `epochs`, `test` |
//! | of each training video its id, number of frames, size, rate, labels and segment | the pixels of its frames |
//! | if its clips are stored: the frames and the number of classes | `store_clips` itself |
//!
//! So more epochs reuse those already drawn, and frames that are coded again at the same size change no row.

use crate::inputs::{Inputs, Lists};
use crate::list::Video;
use pipe_schemas::stages::augment::{AugmentParams, StoreClips};
use pipe_stage::protocol::PlannedPart;
use pipe_stage::{Context, StageError, json_fields};
use serde_json::json;
use std::collections::BTreeMap;

type Fields = Vec<(Vec<String>, String)>;

/// A part of the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The rows of one epoch, counted from 0.
    Epoch(u32),
    /// The test views.
    Test,
}

const TEST: &str = "test";
const EPOCH: &str = "epoch-";

impl Part {
    /// Returns the part's name: `epoch-0000` or `test`.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Epoch(epoch) => format!("{EPOCH}{epoch:04}"),
            Self::Test => TEST.to_owned(),
        }
    }

    /// Returns the part of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        if name == TEST { Some(Self::Test) } else { Some(Self::Epoch(name.strip_prefix(EPOCH)?.parse().ok()?)) }
    }

    /// Returns whether the clips of the part are stored as pixels.
    pub(crate) fn is_stored(self, params: &AugmentParams) -> bool {
        let Some(StoreClips { epochs, test }) = params.store_clips else { return false };
        match self {
            Self::Epoch(epoch) => epochs.is_none_or(|epochs| epoch < epochs),
            Self::Test => test,
        }
    }
}

/// Returns all parts with what determines them, the epochs first.
pub(crate) fn plan(context: &Context, inputs: &Inputs, lists: &Lists<'_>) -> Result<Vec<PlannedPart>, StageError> {
    let AugmentParams { epochs, seed, num_sample, epoch_videos, train, test, blending, store_clips: _ } =
        &inputs.params;
    let with = json!({
        "seed": seed, "num_sample": num_sample, "epoch_videos": epoch_videos, "train": train, "blending": blending,
    });
    let mut of_epochs = json_fields(&["with"], &with);
    of_epochs.push(field(&["videos"], digest(&lists.train.videos)));
    let mut of_test = json_fields(&["with"], &json!({ "test": test }));
    of_test.push(field(&["videos"], digest(&lists.test.videos)));
    context.input("frames")?;
    let of_stored = [
        field(&["inputs", "frames"], context.input_digest("frames").unwrap_or_default()),
        field(&["num_classes"], inputs.classes.len().to_string()),
    ];
    let planned = |part: Part| {
        let mut fields: Fields = match part {
            Part::Epoch(epoch) => [of_epochs.clone(), vec![field(&["epoch"], epoch.to_string())]].concat(),
            Part::Test => of_test.clone(),
        };
        if part.is_stored(&inputs.params) {
            fields.extend(of_stored.iter().cloned());
        }
        PlannedPart { name: part.name(), fields, items: BTreeMap::new() }
    };
    Ok((0..*epochs).map(Part::Epoch).chain([Part::Test]).map(planned).collect())
}

fn field(path: &[&str], value: impl Into<String>) -> (Vec<String>, String) {
    (path.iter().map(|step| (*step).to_owned()).collect(), value.into())
}

/// Returns the digest of all that draws depend on of each video, strings and lists with their lengths before them.
fn digest(videos: &[Video<'_>]) -> String {
    let mut hasher = blake3::Hasher::new();
    for video in videos {
        let frames = video.frames;
        hasher.update(&(frames.video_id.len() as u64).to_le_bytes());
        hasher.update(frames.video_id.as_bytes());
        for number in [frames.num_frames, frames.width_px, frames.height_px] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(&frames.fps.to_bits().to_le_bytes());
        hasher.update(&[u8::from(video.segment.is_some())]);
        if let Some(segment) = &video.segment {
            hasher.update(&segment.start_secs.to_bits().to_le_bytes());
            hasher.update(&segment.end_secs.to_bits().to_le_bytes());
            hasher.update(&segment.frames.start.to_le_bytes());
            hasher.update(&segment.frames.end.to_le_bytes());
        }
        hasher.update(&(video.class_indices.len() as u64).to_le_bytes());
        for class_index in &video.class_indices {
            hasher.update(&class_index.to_le_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Segment;
    use pipe_schemas::tables::FrameIndexRow;

    #[test]
    fn names_are_read_back() {
        for part in [Part::Epoch(0), Part::Epoch(12_345), Part::Test] {
            assert_eq!(Part::from_name(&part.name()), Some(part));
        }
        assert_eq!(Part::Epoch(7).name(), "epoch-0007");
        for name in ["", "epoch-", "epoch-x", "0007", "tests"] {
            assert_eq!(Part::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn everything_that_draws_depend_on_is_in_the_digest() {
        let index = FrameIndexRow {
            video_id: "a".into(),
            shard: "s".into(),
            row_group: 0,
            num_frames: 50,
            width_px: 341,
            height_px: 256,
            fps: 25.0,
        };
        let segment = |end_secs, frames| Segment { start_secs: 0.5, end_secs, frames };
        let digest_of = |change: &dyn Fn(&mut FrameIndexRow), segment: Option<Segment>, class_indices: &[u32]| {
            let mut frames = index.clone();
            change(&mut frames);
            digest(&[Video { frames: &frames, segment, class_indices: class_indices.into() }])
        };
        let plain = digest_of(&|_| (), None, &[1]);
        // Where a video lies decides no draw.
        assert_eq!(plain, digest_of(&|row| (row.shard, row.row_group) = ("t".into(), 3), None, &[1]));
        let digests = [
            plain,
            digest_of(&|row| row.video_id = "b".into(), None, &[1]),
            digest_of(&|row| row.num_frames = 51, None, &[1]),
            digest_of(&|row| row.width_px = 342, None, &[1]),
            digest_of(&|row| row.height_px = 257, None, &[1]),
            digest_of(&|row| row.fps = 24.0, None, &[1]),
            digest_of(&|_| (), None, &[2]),
            digest_of(&|_| (), None, &[1, 2]),
            digest_of(&|_| (), Some(segment(1.0, 12..25)), &[1]),
            digest_of(&|_| (), Some(segment(1.5, 12..25)), &[1]),
            digest_of(&|_| (), Some(segment(1.0, 12..26)), &[1]),
        ];
        let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), digests.len());
    }
}
