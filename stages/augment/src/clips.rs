//! [`write()`]: the clips of a part as pixels, in shards.
//!
//! ```text
//! clips/train-0003-00012.parquet   the clips of epoch 3 from the 12th shard on, both counted from 0
//! clips/test-00000.parquet
//! ```
//!
//! The size of a clip alone determines which clips share a shard or a row group. Shards do not depend on each other, so that
//! any number of threads writes the same bytes, and a thread holds a few row groups at a time.

use pipe_clips::{ClipSize, Loader};
use pipe_schemas::tables::SampleRow;
use pipe_stage::{Context, StageError};
use pipe_tables::clips::{ClipGroup, ClipWriter};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the shards lie in the output.
pub(crate) const FOLDER: &str = "clips";

/// Upper limit for the pixels of a row group, in bytes. A row group has at least one clip.
const GROUP_BYTES: usize = 16 << 20;

/// Row groups per shard.
const SHARD_GROUPS: usize = 16;

/// The shards of a part.
pub(crate) struct Shards {
    pub(crate) folder: PathBuf,
    /// How the files' names begin: `train-0003` or `test`.
    pub(crate) name: String,
    pub(crate) rows: Arc<[SampleRow]>,
    pub(crate) size: ClipSize,
    /// `K`.
    pub(crate) num_classes: usize,
}

/// Totals of the shards of a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredClips {
    pub(crate) num_clips: u64,
    pub(crate) num_shards: u64,
    pub(crate) size_bytes: u64,
}

impl StoredClips {
    pub(crate) fn add(&mut self, other: Self) {
        self.num_clips += other.num_clips;
        self.num_shards += other.num_shards;
        self.size_bytes += other.size_bytes;
    }
}

/// Writes the shards, in parallel on the threads of the current pool.
pub(crate) fn write(context: &Context, loader: &Loader, shards: &Shards) -> Result<StoredClips, StageError> {
    fs_err::create_dir_all(&shards.folder)?;
    let (total, done) = (shards.rows.len() as u64, AtomicU64::new(0));
    let after_group = |count| {
        let done = done.fetch_add(count, Ordering::Relaxed) + count;
        context.progress(done, total, "clips");
    };
    let step = SHARD_GROUPS * clips_per_group(shards.size);
    let starts: Vec<usize> = (0..shards.rows.len()).step_by(step).collect();
    let write = |start: &usize| {
        let path = shards.folder.join(format!("{}-{:05}.parquet", shards.name, start / step));
        let range = *start..(start + step).min(shards.rows.len());
        write_shard(context, loader, shards, path, range, after_group)
    };
    let written: Vec<Result<u64, StageError>> = starts.par_iter().map(write).collect();
    let mut size_bytes = 0;
    for bytes in written {
        size_bytes += bytes?;
    }
    Ok(StoredClips { num_clips: total, num_shards: starts.len() as u64, size_bytes })
}

fn clips_per_group(size: ClipSize) -> usize {
    (GROUP_BYTES / (3 * size.frames * size.height * size.width).max(1)).max(1)
}

/// Writes one shard and returns its size in bytes.
fn write_shard(
    context: &Context,
    loader: &Loader,
    shards: &Shards,
    path: PathBuf,
    range: Range<usize>,
    after_group: impl Fn(u64),
) -> Result<u64, StageError> {
    let Shards { rows, size, num_classes, .. } = shards;
    let batches = loader.clips_of(Arc::clone(rows), range, *size, clips_per_group(*size), 1)?;
    let mut writer = ClipWriter::create(&path, [size.frames, size.height, size.width])?;
    for batch in batches.with_targets(*num_classes)? {
        context.check_cancelled()?;
        let batch = batch?;
        let count = batch.num_clips as u64;
        writer.write(ClipGroup { rows: &rows[batch.rows], targets: &batch.targets, pixels: batch.pixels })?;
        after_group(count);
    }
    writer.finish()?;
    Ok(fs_err::metadata(path)?.len())
}
