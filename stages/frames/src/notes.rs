//! [`Notes`]: the files that a part leaves for the index and for its next version.

use crate::FramesError;
use crate::encode::EncodedVideo;
use crate::plan::shard_name;
use pipe_schemas::tables::FrameIndexRow;
use pipe_stage::StageError;
use pipe_stage::protocol::{MadePart, MakePart, OldPart};
use pipe_tables::frames::FrameShards;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

const INDEX: &str = "index.parquet";
const SKIPPED: &str = "skipped.json";
const DAMAGED: &str = "damaged.json";

/// The results for the videos of a part.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Notes {
    /// Rows of the videos in the shard.
    pub(crate) index: Vec<FrameIndexRow>,
    /// The videos that are not in the shard.
    pub(crate) skipped: Vec<Faulty>,
    /// The videos of which some frames are not in the shard, or damaged.
    pub(crate) damaged: Vec<Faulty>,
}

/// A video that can't be decoded, or only in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Faulty {
    pub(crate) video_id: String,
    /// The error of the decoder, or what it passed over.
    pub(crate) reason: String,
}

/// The older version of a part, and which of its videos are unchanged.
pub(crate) struct Old<'a> {
    shards: FrameShards,
    skipped: Vec<Faulty>,
    damaged: Vec<Faulty>,
    same: &'a BTreeSet<String>,
}

impl Notes {
    /// Reads the notes of a part.
    pub(crate) fn read(part: &MadePart) -> Result<Self, StageError> {
        let index = pipe_tables::read_rows(&part.note(INDEX))?;
        Ok(Self { index, skipped: read_list(part, SKIPPED)?, damaged: read_list(part, DAMAGED)? })
    }

    /// Writes the notes into the part.
    pub(crate) fn write(&self, part: &MakePart) -> Result<(), StageError> {
        pipe_tables::write_rows(&part.note(INDEX)?, &self.index)?;
        for (name, list) in [(SKIPPED, &self.skipped), (DAMAGED, &self.damaged)] {
            let mut text = serde_json::to_vec_pretty(list)?;
            text.push(b'\n');
            fs_err::write(part.note(name)?, text)?;
        }
        Ok(())
    }
}

impl<'a> Old<'a> {
    /// Opens an older version, with its shard in the folder `frames` of its files.
    pub(crate) fn open(old: &'a OldPart, frames: &str) -> Result<Self, StageError> {
        let OldPart { made, same_items } = old;
        let shards = FrameShards::open_with_index(&made.file(frames), &made.note(INDEX))?;
        let (skipped, damaged) = (read_list(made, SKIPPED)?, read_list(made, DAMAGED)?);
        Ok(Self { shards, skipped, damaged, same: same_items })
    }

    /// Returns the frames of a video, or why it was skipped; `None` if the video must be decoded. Frames that are not held in
    /// memory go to a file in `folder`.
    pub(crate) fn video(
        &self,
        video_id: &str,
        folder: &Path,
    ) -> Result<Option<Result<EncodedVideo, Faulty>>, StageError> {
        if !self.same.contains(video_id) {
            return Ok(None);
        }
        if let Some(row) = self.shards.find(video_id) {
            let FrameIndexRow { width_px, height_px, fps, .. } = *row;
            let frames = self.shards.read_video(row, folder)?;
            let damage = self.damaged.iter().find(|damaged| damaged.video_id == video_id);
            let damage = damage.map_or(String::new(), |damaged| damaged.reason.clone());
            return Ok(Some(Ok(EncodedVideo { frames, width_px, height_px, fps, damage })));
        }
        Ok(self.skipped.iter().find(|skipped| skipped.video_id == video_id).map(|skipped| Err(skipped.clone())))
    }
}

/// Returns the size of the shard of a part in bytes; 0 if no video could be decoded.
pub(crate) fn shard_bytes(part: &MadePart, frames: &str) -> Result<u64, StageError> {
    let path = part.file(frames).join(shard_name(&part.name));
    Ok(if path.exists() { fs_err::metadata(path)?.len() } else { 0 })
}

fn read_list(part: &MadePart, name: &str) -> Result<Vec<Faulty>, StageError> {
    let path = part.note(name);
    let list = serde_json::from_slice(&fs_err::read(&path)?);
    Ok(list.map_err(|source| FramesError::Notes { path, source })?)
}
