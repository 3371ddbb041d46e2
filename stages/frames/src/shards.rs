//! [`Maker`]: writes the shard of each bucket of videos.

use crate::FramesError;
use crate::encode::{Coders, EncodedVideo, Failure};
use crate::notes::{Faulty, Notes, Old};
use crate::plan::shard_name;
use pipe_schemas::stages::frames::FramesParams;
use pipe_schemas::stages::ingest::OnError;
use pipe_schemas::tables::{FrameIndexRow, VideoRow};
use pipe_stage::protocol::MakePart;
use pipe_stage::{Context, StageError};
use pipe_tables::frames::ShardWriter;
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// What all shards have in common.
pub(crate) struct Maker<'a> {
    pub(crate) context: &'a Context,
    pub(crate) params: &'a FramesParams,
    pub(crate) coders: Coders<'a>,
    pub(crate) media_root: &'a Path,
    /// Folder of the shards in the output.
    pub(crate) frames: &'a str,
    /// Number of videos.
    pub(crate) total: u64,
    /// Number of finished videos.
    pub(crate) done: AtomicU64,
}

/// A part to make, with its inputs.
pub(crate) struct Bucket<'a> {
    pub(crate) part: &'a MakePart,
    pub(crate) videos: &'a [&'a VideoRow],
    pub(crate) old: Option<Old<'a>>,
}

impl Maker<'_> {
    /// Makes all shards, in parallel over buckets, and over the videos of a bucket if there are few buckets. Memory holds at most
    /// `SPILL_BYTES` of each of about two videos per thread, and of the row group that is written, whatever the length of videos.
    pub(crate) fn make_all(&self, buckets: &[Bucket]) -> Result<(), StageError> {
        let at_once = (2 * self.context.threads()).div_ceil(buckets.len().max(1));
        buckets.par_iter().try_for_each(|bucket| self.make(bucket, at_once))
    }

    fn make(&self, bucket: &Bucket, at_once: usize) -> Result<(), StageError> {
        let shard = shard_name(&bucket.part.name);
        let (mut notes, mut writer) = (Notes::default(), None);
        for group in bucket.videos.chunks(at_once) {
            let frames: Result<Vec<_>, StageError> =
                group.par_iter().map(|video| self.frames_of(video, bucket)).collect();
            for (video, frames) in group.iter().zip(frames?) {
                let video_id = video.video_id.clone();
                let EncodedVideo { frames, width_px, height_px, fps, damage } = match frames {
                    Ok(encoded) => encoded,
                    Err(skipped) => {
                        notes.skipped.push(skipped);
                        continue;
                    }
                };
                let writer = match &mut writer {
                    Some(writer) => writer,
                    None => {
                        writer.insert(ShardWriter::create(&bucket.part.file(&format!("{}/{shard}", self.frames))?)?)
                    }
                };
                if !damage.is_empty() {
                    notes.damaged.push(Faulty { video_id: video_id.clone(), reason: damage });
                }
                let row_group = writer.write_frames(&video_id, &frames, width_px, height_px)?;
                let (shard, num_frames) = (shard.clone(), frames.len() as u32);
                notes.index.push(FrameIndexRow { video_id, shard, row_group, num_frames, width_px, height_px, fps });
            }
        }
        if let Some(writer) = writer {
            writer.finish()?;
        }
        notes.write(bucket.part)?;
        self.context.part_finished(&bucket.part.name);
        Ok(())
    }

    /// Returns the frames of a video, from the older version of the bucket if it has them. The inner error is a video that
    /// `on_error: skip` skips.
    fn frames_of(&self, video: &VideoRow, bucket: &Bucket) -> Result<Result<EncodedVideo, Faulty>, StageError> {
        self.context.check_cancelled()?;
        let kept = bucket.old.as_ref().map(|old| old.video(&video.video_id, self.context.scratch()));
        let frames = match kept.transpose()?.flatten() {
            Some(Err(skipped)) => self.skip(skipped)?,
            Some(Ok(kept)) => Ok(kept),
            None => self.decode(video)?,
        };
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.context.progress(done, self.total, "videos");
        Ok(frames)
    }

    fn decode(&self, video: &VideoRow) -> Result<Result<EncodedVideo, Faulty>, StageError> {
        let path = self.media_root.join(&video.path);
        check_digest(&path, video)?;
        let video_id = video.video_id.clone();
        match self.coders.encode(&path)? {
            Ok(encoded) => Ok(Ok(encoded)),
            Err(Failure::Video(reason)) => Ok(self.skip(Faulty { video_id, reason })?),
            Err(Failure::Machine(failure)) => {
                let path = video.path.clone();
                Err(StageError::from(FramesError::Machine { path, failure }).with_help(MACHINE_HELP))
            }
            // Its content was read just before: the machine is at fault, not the video.
            Err(Failure::Io(reason)) => Err(FramesError::Lost { path: video.path.clone(), reason }.into()),
        }
    }

    fn skip(&self, skipped: Faulty) -> Result<Result<EncodedVideo, Faulty>, StageError> {
        if self.params.on_error == OnError::Skip {
            return Ok(Err(skipped));
        }
        let Faulty { video_id, reason } = skipped;
        Err(StageError::from(FramesError::Video { video_id, reason }).with_help(UNUSABLE_HELP))
    }
}

/// The help for a video that can't be decoded.
pub(crate) const UNUSABLE_HELP: &str = "remove the file, or write `on_error: skip`";

/// The help for a failure of the machine.
const MACHINE_HELP: &str = "free memory or processes of this machine, or lower `limits.memory_mb`, and run again; nothing is recorded about the video";

/// Checks that the content of a file is the one that `ingest` recorded.
fn check_digest(path: &Path, video: &VideoRow) -> Result<(), StageError> {
    let read = |source| FramesError::Read { path: video.path.clone(), source };
    let mut hasher = blake3::Hasher::new();
    // Read, not mapped: a mapped file counts as memory in use.
    hasher.update_reader(fs_err::File::open(path).map_err(read)?).map_err(read)?;
    if hasher.finalize().to_hex().as_str() == video.digest {
        return Ok(());
    }
    let error = FramesError::Changed { path: video.path.clone() };
    Err(StageError::from(error).with_help("run again, so that `ingest` reads the new content"))
}
