//! [`Frames`]: the implementation of the stage.

use crate::FramesError;
use crate::encode::Coders;
use crate::notes::{Faulty, Notes, Old, shard_bytes};
use crate::plan::{by_part, parts};
use crate::shards::{Bucket, Maker, UNUSABLE_HELP};
use pipe_schemas::stages::frames::{CONTRACT, FramesParams};
use pipe_schemas::stages::ingest::OnError;
use pipe_schemas::tables::{FrameIndexRow, VideoRow};
use pipe_stage::protocol::{Made, MadePart, MakeParts, PlannedPart};
use pipe_stage::{Context, PartedStage, StageError, Summary, grouped};
use pipe_tables::frames::{INDEX_FILE, RECIPE_FILE};
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
        Ok(parts(&usable_videos(context)?.0, &context.params()?))
    }

    fn make(&self, context: &Context, parts: &MakeParts) -> Result<Made, StageError> {
        let params: FramesParams = context.params()?;
        let (videos, _) = usable_videos(context)?;
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
        let Notes { mut index, mut skipped, mut damaged } = Notes::default();
        let mut size_bytes = 0;
        for part in parts {
            let notes = Notes::read(part)?;
            index.extend(notes.index);
            skipped.extend(notes.skipped);
            damaged.extend(notes.damaged);
            size_bytes += shard_bytes(part, FRAMES)?;
        }
        index.sort_by(|a, b| a.video_id.cmp(&b.video_id));
        skipped.sort_by(|a, b| a.video_id.cmp(&b.video_id));
        damaged.sort_by(|a, b| a.video_id.cmp(&b.video_id));
        for Faulty { video_id, reason } in &skipped {
            if params.on_error == OnError::Fail {
                let error = FramesError::Video { video_id: video_id.clone(), reason: reason.clone() };
                return Err(StageError::from(error).with_help(UNUSABLE_HELP));
            }
            context.warn(format!("skipped the video `{video_id}`: {reason}"));
        }
        if !damaged.is_empty() {
            context.warn(damaged_videos(&damaged, index.len()));
        }
        if index.is_empty() {
            return Err(FramesError::NoneDecoded { num_videos: skipped.len() }.into());
        }
        pipe_tables::write_rows(&context.output(&format!("{FRAMES}/{INDEX_FILE}"))?, &index)?;
        pipe_tables::write_json(&context.output(&format!("{FRAMES}/{RECIPE_FILE}"))?, &params.recipe())?;
        let (_, num_unusable) = usable_videos(context)?;
        let losses = Losses { damaged: damaged.len(), skipped: skipped.len(), unusable: num_unusable };
        Ok(summary(&index, &losses, size_bytes))
    }
}

/// Reads the videos that `ingest` could open, sorted by id. Returns the number of the others too.
fn usable_videos(context: &Context) -> Result<(Vec<VideoRow>, usize), StageError> {
    let mut videos: Vec<VideoRow> = pipe_tables::read_rows(context.input("videos")?)?;
    let num_videos = videos.len();
    videos.retain(|video| video.verdict.is_usable());
    if videos.is_empty() {
        return Err(FramesError::NoVideos { num_videos }.into());
    }
    videos.sort_by(|a, b| a.video_id.cmp(&b.video_id));
    let num_unusable = num_videos - videos.len();
    Ok((videos, num_unusable))
}

/// Returns a line with the first ten damaged videos and what is wrong with them.
fn damaged_videos(damaged: &[Faulty], num_videos: usize) -> String {
    const SHOWN: usize = 10;
    let named = damaged.iter().take(SHOWN).map(|video| format!("`{}` ({})", video.video_id, video.reason));
    let more = damaged.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("and {more} more"));
    let list: Vec<String> = named.chain(more).collect();
    let are = if damaged.len() == 1 { "is" } else { "are" };
    format!(
        "{} of {num_videos} videos {are} damaged, and stored without the frames that are lost: {}",
        damaged.len(),
        list.join(", ")
    )
}

/// The videos of the table that are not in the index, or only in part.
struct Losses {
    damaged: usize,
    skipped: usize,
    /// Videos that `ingest` found unusable.
    unusable: usize,
}

fn summary(index: &[FrameIndexRow], losses: &Losses, size_bytes: u64) -> Summary {
    let Losses { damaged, skipped, unusable } = *losses;
    let num_frames: u64 = index.iter().map(|row| u64::from(row.num_frames)).sum();
    let megabytes = size_bytes.div_ceil(1_000_000);
    let mut parts = vec![format!("{} videos, {} frames, {megabytes} MB", index.len(), grouped(num_frames))];
    parts.extend((damaged > 0).then(|| format!("{damaged} damaged")));
    parts.extend((skipped > 0).then(|| format!("{skipped} skipped")));
    parts.extend((unusable > 0).then(|| format!("{unusable} unusable in `videos`")));
    Summary::line(parts.join(", "))
}

#[cfg(test)]
mod tests;
