//! [`Shard`]: a file, mapped into memory, with its metadata.

use super::{JPEG_COLUMN, TABLE, VERSION, schema};
use crate::TableError;
use crate::buffer::FrameBuffer;
use crate::file::naming;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use fs_err::File;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use std::path::Path;

/// Frames per batch when a whole video is read.
const FRAMES_AT_ONCE: usize = 8;

pub(super) struct Shard {
    pub(super) source: Bytes,
    pub(super) metadata: ArrowReaderMetadata,
    /// Position of the column `image.bytes`.
    pub(super) jpeg_column: usize,
}

impl Shard {
    pub(super) fn open(path: &Path) -> Result<Self, TableError> {
        let parquet = |source| TableError::Parquet { path: path.into(), source };
        let source = map(path)?;
        let options = ArrowReaderOptions::new()
            .with_offset_index_policy(PageIndexPolicy::Required)
            .with_column_index_policy(PageIndexPolicy::Skip);
        let metadata = ArrowReaderMetadata::load(&source, options).map_err(parquet)?;
        crate::rows::check_table(path, TABLE, VERSION, metadata.metadata().file_metadata().key_value_metadata())?;
        let (found, expected) = (metadata.schema().fields(), schema());
        if found != expected.fields() {
            let message = "the columns are not those of a frame shard".to_owned();
            return Err(TableError::Content { path: path.into(), message });
        }
        let columns = metadata.parquet_schema().columns();
        let jpeg_column = columns.iter().position(|column| column.path().string() == JPEG_COLUMN);
        let Some(jpeg_column) = jpeg_column else {
            let message = format!("the column `{JPEG_COLUMN}` is missing");
            return Err(TableError::Content { path: path.into(), message });
        };
        Ok(Self { source, metadata, jpeg_column })
    }

    pub(super) fn read_times(&self, row_group: usize) -> Result<Vec<i64>, ParquetError> {
        let mut times = Vec::new();
        for batch in self.reader(row_group, &["pts_nanos"]).build()? {
            times.extend_from_slice(batch?.column(0).as_primitive::<Int64Type>().values());
        }
        Ok(times)
    }

    fn reader(&self, row_group: usize, columns: &[&str]) -> ParquetRecordBatchReaderBuilder<Bytes> {
        let columns = ProjectionMask::columns(self.metadata.parquet_schema(), columns.iter().copied());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.source.clone(), self.metadata.clone());
        reader.with_row_groups(vec![row_group]).with_projection(columns)
    }

    /// Reads all frames of a row group and returns their video ids without consecutive repetitions.
    pub(super) fn read_all(&self, row_group: usize, frames: &mut FrameBuffer) -> Result<Vec<String>, ParquetError> {
        let columns = ["video_id", "pts_nanos", JPEG_COLUMN];
        let reader = self.reader(row_group, &columns).with_batch_size(FRAMES_AT_ONCE).build()?;
        let mut video_ids = Vec::new();
        for batch in reader {
            let batch = batch?;
            video_ids.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
            video_ids.dedup();
            let times = batch.column(1).as_primitive::<Int64Type>().values().iter();
            let images = batch.column(2).as_struct().column(0).as_binary::<i32>();
            times.zip(images.iter().flatten()).try_for_each(|(pts_nanos, image)| frames.push(*pts_nanos, image))?;
        }
        Ok(video_ids)
    }
}

/// Maps a file into memory.
#[expect(unsafe_code, reason = "mapping a file is unsafe because it may change; files in the store do not")]
fn map(path: &Path) -> Result<Bytes, TableError> {
    let file = File::open(path)?;
    // SAFETY: shards are read from the store, whose files are read-only and never change; a file that is deleted stays mapped.
    let mapped = unsafe { memmap2::Mmap::map(file.file()) }.map_err(naming("map", path))?;
    Ok(Bytes::from_owner(mapped))
}
