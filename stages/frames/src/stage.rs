//! [`Frames`]: the implementation of the stage.

use crate::FramesError;
use crate::encode::Coders;
use crate::notes::{Notes, Old, Skipped, shard_bytes};
use crate::plan::{by_part, parts};
use crate::shards::{Bucket, Maker, UNUSABLE_HELP};
use pipe_schemas::stages::frames::{CONTRACT, FramesParams};
use pipe_schemas::stages::ingest::OnError;
use pipe_schemas::tables::{FrameIndexRow, VideoRow};
use pipe_stage::protocol::{Made, MadePart, MakeParts, PlannedPart};
use pipe_stage::{Context, PartedStage, StageError, Summary, grouped};
use pipe_tables::frames::INDEX_FILE;
use std::sync::atomic::AtomicU64;

/// Folder of the shards and the index in the output.
const FRAMES: &str = CONTRACT.outputs[0].path;

/// The stage `frames`.
pub struct Frames;

impl PartedStage for Frames {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn plan(&self, context: &Context) -> Result<Vec<PlannedPart>, StageError> {
        Ok(parts(&usable_videos(context)?, &context.params()?))
    }

    fn make(&self, context: &Context, parts: &MakeParts) -> Result<Made, StageError> {
        let params: FramesParams = context.params()?;
        let videos = usable_videos(context)?;
        let by_part = by_part(&videos, params.buckets);
        let mut buckets = Vec::with_capacity(parts.parts.len());
        for part in &parts.parts {
            let videos = by_part.get(&part.name).ok_or_else(|| FramesError::NoSuchPart { part: part.name.clone() })?;
            let old = part.old.as_ref().map(|old| Old::open(old, FRAMES)).transpose()?;
            buckets.push(Bucket { part, videos, old });
        }
        let maker = Maker {
            context,
            params: &params,
            coders: Coders::new(context, &params, context.scratch()),
            media_root: context.media_root("videos")?,
            frames: FRAMES,
            total: buckets.iter().map(|bucket| bucket.videos.len() as u64).sum(),
            done: AtomicU64::new(0),
        };
        context.thread_pool()?.install(|| maker.make_all(&buckets))?;
        Ok(Made::All)
    }

    fn assemble(&self, context: &Context, parts: &[MadePart]) -> Result<Summary, StageError> {
        let params: FramesParams = context.params()?;
        let Notes { mut index, mut skipped } = Notes::default();
        let mut size_bytes = 0;
        for part in parts {
            let notes = Notes::read(part)?;
            index.extend(notes.index);
            skipped.extend(notes.skipped);
            size_bytes += shard_bytes(part, FRAMES)?;
        }
        index.sort_by(|a, b| a.video_id.cmp(&b.video_id));
        skipped.sort_by(|a, b| a.video_id.cmp(&b.video_id));
        for Skipped { video_id, reason } in &skipped {
            if params.on_error == OnError::Fail {
                let error = FramesError::Video { video_id: video_id.clone(), reason: reason.clone() };
                return Err(StageError::from(error).with_help(UNUSABLE_HELP));
            }
            context.warn(format!("skipped the video `{video_id}`: {reason}"));
        }
        if index.is_empty() {
            return Err(FramesError::NoneDecoded { num_videos: skipped.len() }.into());
        }
        pipe_tables::write_rows(&context.output(&format!("{FRAMES}/{INDEX_FILE}"))?, &index)?;
        Ok(summary(&index, skipped.len(), size_bytes))
    }
}

/// Reads the videos that `ingest` could open, sorted by id.
fn usable_videos(context: &Context) -> Result<Vec<VideoRow>, StageError> {
    let mut videos: Vec<VideoRow> = pipe_tables::read_rows(context.input("videos")?)?;
    let num_videos = videos.len();
    videos.retain(|video| video.verdict.is_usable());
    if videos.is_empty() {
        return Err(FramesError::NoVideos { num_videos }.into());
    }
    videos.sort_by(|a, b| a.video_id.cmp(&b.video_id));
    Ok(videos)
}

fn summary(index: &[FrameIndexRow], num_skipped: usize, size_bytes: u64) -> Summary {
    let num_frames: u64 = index.iter().map(|row| u64::from(row.num_frames)).sum();
    let megabytes = size_bytes.div_ceil(1_000_000);
    let made = format!("{} videos, {} frames, {megabytes} MB", index.len(), grouped(num_frames));
    Summary::line(if num_skipped == 0 { made } else { format!("{made}, {num_skipped} skipped") })
}

#[cfg(test)]
mod tests;
