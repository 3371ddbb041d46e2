//! [`write()`]: the clips themselves, as shards.
//!
//! ```text
//! clips/train-0003-00012.parquet   the clips of epoch 3 from the 12th shard on, both from 0
//! clips/test-00000.parquet
//! ```
//!
//! Which clips share a shard, and which of them a row group, depends on their size alone. Shards are made by themselves, so
//! that any number of threads makes the same bytes, and each thread holds a few row groups at a time.

use pipe_clips::{ClipSize, Loader};
use pipe_schemas::stages::augment::StoreClips;
use pipe_schemas::tables::{Preprocessing, SampleRow};
use pipe_stage::{Context, StageError, grouped};
use pipe_tables::clips::{ClipGroup, ClipWriter};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pixels of a row group, in bytes; but it has a clip at least.
const GROUP_BYTES: usize = 16 << 20;

/// Row groups of a shard.
const SHARD_GROUPS: usize = 16;

/// All that clips may be made of.
pub(crate) struct Clips<'a> {
    /// Where the frames lie.
    pub(crate) frames: &'a Path,
    /// Rows of all epochs.
    pub(crate) train: &'a Arc<[SampleRow]>,
    /// Rows of test views.
    pub(crate) test: &'a Arc<[SampleRow]>,
    /// How large they are.
    pub(crate) preprocessing: &'a Preprocessing,
    /// `K`.
    pub(crate) num_classes: usize,
}

/// A file to write.
struct Shard<'a> {
    path: PathBuf,
    rows: &'a Arc<[SampleRow]>,
    range: Range<usize>,
    size: ClipSize,
}

/// Writes what `store` asks for into `folder`, and returns what to say of it.
pub(crate) fn write(
    context: &Context,
    store: &StoreClips,
    clips: &Clips<'_>,
    folder: &Path,
) -> Result<String, StageError> {
    fs_err::create_dir_all(folder)?;
    let shards = shards(store, clips, folder);
    let total: u64 = shards.iter().map(|shard| shard.range.len() as u64).sum();
    let (loader, done) = (Loader::open(clips.frames)?, AtomicU64::new(0));
    let write = |shard: &Shard<'_>| {
        write_shard(context, &loader, shard, clips.num_classes, |count| {
            let done = done.fetch_add(count, Ordering::Relaxed) + count;
            context.progress(done, total, "clips");
        })
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(context.threads()).build()?;
    let written: Vec<Result<u64, StageError>> = pool.install(|| shards.par_iter().map(write).collect());
    let mut size_bytes = 0;
    for bytes in written {
        size_bytes += bytes?;
    }
    let (count, megabytes) = (shards.len() as u64, grouped(size_bytes.div_ceil(1_000_000)));
    Ok(format!("{} clips stored in {} shards, {megabytes} MB", grouped(total), grouped(count)))
}

/// Returns all files, in order.
fn shards<'a>(store: &StoreClips, clips: &Clips<'a>, folder: &Path) -> Vec<Shard<'a>> {
    let Preprocessing { train_frames, test_frames, height_px, width_px, epochs, .. } = *clips.preprocessing;
    let size = |frames| ClipSize { frames: frames as usize, height: height_px as usize, width: width_px as usize };
    let mut shards = Vec::new();
    let mut add = |name: &str, rows: &'a Arc<[SampleRow]>, range: Range<usize>, size: ClipSize| {
        let step = SHARD_GROUPS * clips_a_group(size);
        for (number, start) in range.clone().step_by(step).enumerate() {
            let path = folder.join(format!("{name}-{number:05}.parquet"));
            shards.push(Shard { path, rows, range: start..(start + step).min(range.end), size });
        }
    };
    for epoch in 0..store.epochs.unwrap_or(epochs) {
        let place = |epoch| clips.train.partition_point(|row| row.epoch < epoch);
        add(&format!("train-{epoch:04}"), clips.train, place(epoch)..place(epoch + 1), size(train_frames));
    }
    if store.test {
        add("test", clips.test, 0..clips.test.len(), size(test_frames));
    }
    shards
}

fn clips_a_group(size: ClipSize) -> usize {
    (GROUP_BYTES / (3 * size.frames * size.height * size.width).max(1)).max(1)
}

/// Writes a file, and returns its size.
fn write_shard(
    context: &Context,
    loader: &Loader,
    shard: &Shard<'_>,
    num_classes: usize,
    made: impl Fn(u64),
) -> Result<u64, StageError> {
    let Shard { path, rows, range, size } = shard;
    let batches = loader.clips_of(Arc::clone(rows), range.clone(), *size, clips_a_group(*size), 1)?;
    let mut writer = ClipWriter::create(path, [size.frames, size.height, size.width])?;
    for batch in batches.with_targets(num_classes)? {
        context.check_cancelled()?;
        let batch = batch?;
        let count = batch.num_clips as u64;
        writer.write(ClipGroup { rows: &rows[batch.rows], targets: &batch.targets, pixels: batch.pixels })?;
        made(count);
    }
    writer.finish()?;
    Ok(fs_err::metadata(path)?.len())
}
