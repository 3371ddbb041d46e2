//! [`ShardWriter`]: writes encoded frames to a Parquet file.

use super::{EncodedFrame, TABLE, VERSION, image_fields, schema};
use crate::TableError;
use crate::buffer::{FrameBuffer, SpillingPages};
use crate::file::{self, ShardFile};
use crate::settings::properties;
use arrow_array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size of the batches of frames that are passed to the writer.
const BATCH_BYTES: usize = 2 << 20;

/// Metadata that Hugging Face `datasets` reads.
const HUGGINGFACE: &str = concat!(
    r#"{"info": {"features": {"video_id": {"dtype": "string", "_type": "Value"}, "#,
    r#""frame_index": {"dtype": "int32", "_type": "Value"}, "pts_nanos": {"dtype": "int64", "_type": "Value"}, "#,
    r#""height": {"dtype": "int32", "_type": "Value"}, "width": {"dtype": "int32", "_type": "Value"}, "#,
    r#""image": {"_type": "Image"}}}}"#
);

/// Writes a shard, video by video. Equal frames give equal bytes.
pub struct ShardWriter {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<ShardFile>,
}

impl ShardWriter {
    /// Creates the file.
    pub fn create(path: &Path) -> Result<Self, TableError> {
        let parquet = |source| TableError::Parquet { path: path.into(), source };
        let schema = schema();
        // An Arrow schema in the metadata would take precedence over ours in pyarrow, and so in `datasets`.
        let folder = path.parent().unwrap_or(path).into();
        let options = ArrowWriterOptions::new()
            .with_properties(shard_properties())
            .with_skip_arrow_metadata(true)
            .with_page_store_factory(Arc::new(SpillingPages { folder }));
        let mut writer =
            ArrowWriter::try_new_with_options(file::create(path)?, Arc::clone(&schema), options).map_err(parquet)?;
        writer.append_key_value_metadata(KeyValue::new("huggingface".to_owned(), HUGGINGFACE.to_owned()));
        Ok(Self { path: path.into(), schema, writer })
    }

    /// Writes the frames of a video as a row group and returns the position of the row group.
    ///
    /// # Errors
    /// [`TableError::Content`] if the video has no frames.
    pub fn write_frames(
        &mut self,
        video_id: &str,
        frames: &FrameBuffer,
        width_px: u32,
        height_px: u32,
    ) -> Result<u32, TableError> {
        if frames.is_empty() {
            return Err(self.content(format!("video `{video_id}` has no frames")));
        }
        let row_group = self.writer.flushed_row_groups().len() as u32;
        let mut start = 0;
        while start < frames.len() {
            let end = frames.run(start, BATCH_BYTES);
            let batch = batch(&self.schema, video_id, frames, start..end, (width_px, height_px));
            let written = batch.and_then(|batch| self.writer.write(&batch));
            written.map_err(|source| self.parquet(source))?;
            start = end;
        }
        self.writer.flush().map_err(|source| TableError::Parquet { path: self.path.clone(), source })?;
        Ok(row_group)
    }

    /// Does the same as [`ShardWriter::write_frames`] for frames in memory.
    pub fn write_video(
        &mut self,
        video_id: &str,
        frames: &[EncodedFrame],
        width_px: u32,
        height_px: u32,
    ) -> Result<u32, TableError> {
        let mut buffer = FrameBuffer::new(self.path.parent().unwrap_or(&self.path));
        frames.iter().try_for_each(|frame| buffer.push(frame.pts_nanos, &frame.jpeg))?;
        self.write_frames(video_id, &buffer, width_px, height_px)
    }

    /// Writes the footer, which completes the file.
    pub fn finish(self) -> Result<(), TableError> {
        file::finish(self.writer, &self.path)
    }

    fn parquet(&self, source: ParquetError) -> TableError {
        TableError::Parquet { path: self.path.clone(), source }
    }

    fn content(&self, message: String) -> TableError {
        TableError::Content { path: self.path.clone(), message }
    }
}

fn shard_properties() -> WriterProperties {
    let jpeg = || ColumnPath::new(vec!["image".to_owned(), "bytes".to_owned()]);
    properties(TABLE, VERSION)
        .set_max_row_group_row_count(None) // a row group is a whole video
        .set_column_data_page_row_count_limit(jpeg(), 1) // one page per frame
        .set_column_compression(jpeg(), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(jpeg(), false)
        .set_column_encoding(jpeg(), Encoding::PLAIN)
        .set_column_statistics_enabled(jpeg(), EnabledStatistics::None)
        .build()
}

fn batch(
    schema: &SchemaRef,
    video_id: &str,
    frames: &FrameBuffer,
    range: Range<usize>,
    (width_px, height_px): (u32, u32),
) -> Result<RecordBatch, ParquetError> {
    let count = range.len();
    let (bytes, lengths) = frames.images(range.clone())?;
    let images: ArrayRef =
        Arc::new(BinaryArray::try_new(OffsetBuffer::from_lengths(lengths), Buffer::from_vec(bytes), None)?);
    let paths: ArrayRef = Arc::new(StringArray::new_null(count));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(video_id, count))),
        Arc::new(Int32Array::from_iter_values(range.clone().map(|index| index as i32))),
        Arc::new(Int64Array::from_iter_values(frames.pts_nanos()[range].iter().copied())),
        Arc::new(Int32Array::from_value(height_px as i32, count)),
        Arc::new(Int32Array::from_value(width_px as i32, count)),
        Arc::new(StructArray::try_new(image_fields(), vec![images, paths], None)?),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
