//! Buckets of videos become shards.

use crate::FramesError;
use crate::encode::{EncodedVideo, encode_video};
use crate::sample::Sampler;
use pipe_schemas::stages::frames::FramesParams;
use pipe_schemas::stages::ingest::OnError;
use pipe_schemas::tables::{FrameIndexRow, VideoRow};
use pipe_stage::{Context, StageError};
use pipe_tables::frames::ShardWriter;
use pipe_video::VideoError;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What makes all shards alike.
pub(crate) struct Maker<'a> {
    pub(crate) context: &'a Context,
    pub(crate) params: &'a FramesParams,
    pub(crate) media_root: &'a Path,
    pub(crate) folder: PathBuf,
    /// Videos in all, and done so far.
    pub(crate) total: u64,
    pub(crate) done: AtomicU64,
}

/// What became of a bucket's videos.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) index: Vec<FrameIndexRow>,
    /// Video ids with reasons.
    pub(crate) skipped: Vec<(String, VideoError)>,
    pub(crate) size_bytes: u64,
}

/// Returns the bucket of a video.
pub(crate) fn bucket(video_id: &str, buckets: u32) -> u32 {
    let hash = blake3::hash(video_id.as_bytes());
    let (words, _) = hash.as_bytes().as_chunks::<8>();
    (u64::from_le_bytes(words[0]) % u64::from(buckets.max(1))) as u32
}

/// Sorts videos into buckets; within a bucket they keep their order.
pub(crate) fn by_bucket(videos: &[VideoRow], buckets: u32) -> Vec<(u32, Vec<&VideoRow>)> {
    let mut sorted: BTreeMap<u32, Vec<&VideoRow>> = BTreeMap::new();
    for video in videos {
        sorted.entry(bucket(&video.video_id, buckets)).or_default().push(video);
    }
    sorted.into_iter().collect()
}

impl Maker<'_> {
    /// Makes all shards, in parallel over buckets, and over the videos of a bucket where there are few buckets. About two
    /// videos a thread are in memory, as JPEG.
    pub(crate) fn make_all(&self, buckets: &[(u32, Vec<&VideoRow>)]) -> Result<Vec<Made>, StageError> {
        let at_once = (2 * self.context.threads()).div_ceil(buckets.len().max(1));
        buckets.par_iter().map(|(bucket, videos)| self.make(*bucket, videos, at_once)).collect()
    }

    fn make(&self, bucket: u32, videos: &[&VideoRow], at_once: usize) -> Result<Made, StageError> {
        let shard = format!("shard-{bucket:05}.parquet");
        let path = self.folder.join(&shard);
        let (mut made, mut writer) = (Made::default(), None);
        for group in videos.chunks(at_once) {
            let encoded: Result<Vec<_>, StageError> = group.par_iter().map(|video| self.encode(video)).collect();
            for (video, encoded) in group.iter().zip(encoded?) {
                let video_id = video.video_id.clone();
                let encoded = match encoded {
                    Ok(encoded) => encoded,
                    Err(reason) => {
                        made.skipped.push((video_id, reason));
                        continue;
                    }
                };
                let writer = match &mut writer {
                    Some(writer) => writer,
                    None => writer.insert(ShardWriter::create(&path)?),
                };
                let EncodedVideo { frames, width_px, height_px, fps } = encoded;
                let row_group = writer.write_video(&video_id, &frames, width_px, height_px)?;
                let (shard, num_frames) = (shard.clone(), frames.len() as u32);
                made.index.push(FrameIndexRow { video_id, shard, row_group, num_frames, width_px, height_px, fps });
            }
        }
        if let Some(writer) = writer {
            writer.finish()?;
            made.size_bytes = fs_err::metadata(&path)?.len();
        }
        Ok(made)
    }

    /// Makes the frames of a video. The inner error is one that `on_error: skip` passes over.
    fn encode(&self, video: &VideoRow) -> Result<Result<EncodedVideo, VideoError>, StageError> {
        self.context.check_cancelled()?;
        let path = self.media_root.join(&video.path);
        check_digest(&path, video)?;
        let sampler = Sampler::new(self.params.sample);
        let encoded = encode_video(&path, self.params, sampler);
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.context.progress(done, self.total, "videos", || video.video_id.clone());
        match encoded {
            Err(source) if self.params.on_error == OnError::Fail => {
                let error = FramesError::Video { video_id: video.video_id.clone(), source };
                Err(StageError::from(error).with_help("remove the file, or write `on_error: skip`"))
            }
            encoded => Ok(encoded),
        }
    }
}

/// Checks that a file is the one that `ingest` saw.
fn check_digest(path: &Path, video: &VideoRow) -> Result<(), StageError> {
    let read = |source| FramesError::Read { path: video.path.clone(), source };
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap(path).map_err(read)?;
    if hasher.finalize().to_hex().as_str() == video.digest {
        return Ok(());
    }
    let error = FramesError::Changed { path: video.path.clone() };
    Err(StageError::from(error).with_help("run again, so that `ingest` reads the new content"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_fixed_for_ever() {
        // BLAKE3 of the empty string begins af1349b9f5f9a1a6.
        assert_eq!(u64::from(bucket("", u32::MAX)), 0xa6a1_f9f5_b949_13af % u64::from(u32::MAX));
        assert_eq!(bucket("anything", 1), 0);
    }

    #[test]
    fn videos_spread_over_buckets() {
        let mut counts = [0; 8];
        (0..8000).for_each(|number| counts[bucket(&format!("v_{number}"), 8) as usize] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
