//! Frame shards: Parquet files whose rows are frames, each a JPEG, PNG or PPM file. [`ShardWriter`] writes one, [`FrameShards`] reads a folder of them.
//!
//! ```text
//! frames/index.parquet          FrameIndexRow, sorted by video_id
//! frames/shard-00012.parquet    one row group a video, one row a frame
//! ```
//!
//! The columns are `video_id`, `frame_index`, `pts_nanos`, `height`, `width` and `image: {bytes, path}`, which is how
//! Hugging Face `datasets` keeps images; their schema stands in the metadata, so that it decodes them. `image.bytes` is
//! neither compressed nor dictionary-coded, and each frame has a page of its own: a reader takes from the file the frames
//! it wants and no others. A row group is a video, however long: what of it does not fit into memory waits in a file.

use crate::buffer::SpillingPages;
pub use crate::buffer::{FrameBuffer, SPILL_BYTES};
use crate::settings::properties;
use crate::{TableError, read_rows};
use arrow::array::{ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, StringArray, StructArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use fs_err::File;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use pipe_schemas::tables::FrameIndexRow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

const TABLE: &str = "frames";
const VERSION: u32 = 1;

/// The index beside the shards.
pub const INDEX_FILE: &str = "index.parquet";

/// Bytes of frames handed to the writer at once.
const BATCH_BYTES: usize = 2 << 20;

/// The column of JPEG files.
const JPEG_COLUMN: &str = "image.bytes";

/// Frames that are read at once where all are wanted.
const FRAMES_AT_ONCE: usize = 8;

/// What Hugging Face `datasets` looks for in the metadata.
const HUGGINGFACE: &str = concat!(
    r#"{"info": {"features": {"video_id": {"dtype": "string", "_type": "Value"}, "#,
    r#""frame_index": {"dtype": "int32", "_type": "Value"}, "pts_nanos": {"dtype": "int64", "_type": "Value"}, "#,
    r#""height": {"dtype": "int32", "_type": "Value"}, "width": {"dtype": "int32", "_type": "Value"}, "#,
    r#""image": {"_type": "Image"}}}}"#
);

/// A frame as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// Presentation time.
    pub pts_nanos: i64,
    /// A whole image file; JPEG as a rule.
    pub jpeg: Vec<u8>,
}

/// Writes a shard, video by video. Equal frames give equal bytes.
pub struct ShardWriter {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<File>,
}

/// The shards of a folder, to be read by many threads at once.
pub struct FrameShards {
    folder: PathBuf,
    index: Vec<FrameIndexRow>,
    shards: BTreeMap<String, OnceLock<Shard>>,
}

impl ShardWriter {
    /// Creates the file.
    pub fn create(path: &Path) -> Result<Self, TableError> {
        let parquet = |source| TableError::Parquet { path: path.into(), source };
        let schema = schema();
        // An arrow schema in the metadata would hide ours from pyarrow, and with it from `datasets`.
        let folder = path.parent().unwrap_or(path).into();
        let options = ArrowWriterOptions::new()
            .with_properties(shard_properties())
            .with_skip_arrow_metadata(true)
            .with_page_store_factory(Arc::new(SpillingPages { folder }));
        let mut writer =
            ArrowWriter::try_new_with_options(File::create(path)?, Arc::clone(&schema), options).map_err(parquet)?;
        writer.append_key_value_metadata(KeyValue::new("huggingface".to_owned(), HUGGINGFACE.to_owned()));
        Ok(Self { path: path.into(), schema, writer })
    }

    /// Writes a video's frames as a row group and returns its index.
    ///
    /// # Errors
    /// [`TableError::Content`] if there are no frames.
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

    /// Does what [`ShardWriter::write_frames`] does, for frames that lie in memory.
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

    /// Writes the footer. Without it the file is no Parquet file.
    pub fn finish(self) -> Result<(), TableError> {
        let path = self.path;
        self.writer.close().map_err(|source| TableError::Parquet { path, source })?;
        Ok(())
    }

    fn parquet(&self, source: ParquetError) -> TableError {
        TableError::Parquet { path: self.path.clone(), source }
    }

    fn content(&self, message: String) -> TableError {
        TableError::Content { path: self.path.clone(), message }
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("video_id", DataType::Utf8, false),
        Field::new("frame_index", DataType::Int32, false),
        Field::new("pts_nanos", DataType::Int64, false),
        Field::new("height", DataType::Int32, false),
        Field::new("width", DataType::Int32, false),
        // Nullable, or it is not the type that `datasets` decodes. No value is null.
        Field::new("image", DataType::Struct(image_fields()), true),
    ]))
}

fn image_fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

fn shard_properties() -> WriterProperties {
    let jpeg = || ColumnPath::new(vec!["image".to_owned(), "bytes".to_owned()]);
    properties(TABLE, VERSION)
        .set_max_row_group_row_count(None) // a row group is a video, however long
        .set_column_data_page_row_count_limit(jpeg(), 1) // a page a frame
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

impl FrameShards {
    /// Reads the index of `folder`; shards are opened when they are first read from.
    pub fn open(folder: &Path) -> Result<Self, TableError> {
        Self::open_with_index(folder, &folder.join(INDEX_FILE))
    }

    /// Reads an index that does not lie beside its shards.
    pub fn open_with_index(folder: &Path, path: &Path) -> Result<Self, TableError> {
        let index: Vec<FrameIndexRow> = read_rows(path)?;
        let content = |message| TableError::Content { path: path.into(), message };
        if let Some(pair) = index.windows(2).find(|pair| pair[0].video_id >= pair[1].video_id) {
            let (first, second) = (&pair[0].video_id, &pair[1].video_id);
            return Err(content(format!("`{first}` comes before `{second}`; the rows must be sorted and distinct")));
        }
        if let Some(row) = index.iter().find(|row| row.shard.contains('/') || row.shard.starts_with('.')) {
            return Err(content(format!("`{}` of video `{}` is no file beside the index", row.shard, row.video_id)));
        }
        let shards = index.iter().map(|row| (row.shard.clone(), OnceLock::new())).collect();
        Ok(Self { folder: folder.into(), index, shards })
    }

    /// Returns the rows of the index, sorted by `video_id`.
    pub fn index(&self) -> &[FrameIndexRow] {
        &self.index
    }

    /// Returns the row of a video.
    pub fn find(&self, video_id: &str) -> Option<&FrameIndexRow> {
        let found = self.index.binary_search_by(|row| row.video_id.as_str().cmp(video_id));
        found.ok().map(|position| &self.index[position])
    }

    /// Returns frames of the video at `row`, in the order of `frame_indices`, as JPEG files.
    ///
    /// They are parts of the mapped file: only the pages of these frames are read from it, and nothing is copied.
    ///
    /// # Errors
    /// [`TableError::Content`] if the video has no such frame, or the shard does not hold what the index says.
    pub fn read(&self, row: &FrameIndexRow, frame_indices: &[u32]) -> Result<Vec<Bytes>, TableError> {
        let shard = self.shard_of(row)?;
        let content = |message| TableError::Content { path: self.folder.join(&row.shard), message };
        if let Some(index) = frame_indices.iter().find(|&&index| index >= row.num_frames) {
            let last = row.num_frames.saturating_sub(1);
            return Err(content(format!("video `{}` has frames 0 to {last}, but no frame {index}", row.video_id)));
        }
        let pages = shard.metadata.metadata().page_index_for_row_group(row.row_group as usize);
        let pages = pages.page_locations(shard.jpeg_column).map_or(&[][..], Vec::as_slice);
        let frame = |index: &u32| {
            let page = pages.get(*index as usize).filter(|page| page.first_row_index == i64::from(*index))?;
            let start = usize::try_from(page.offset).ok()?;
            let end = start.checked_add(usize::try_from(page.compressed_page_size).ok()?)?;
            let place = jpeg_of_page(shard.source.get(start..end)?)?;
            Some(shard.source.slice(start + place.start..start + place.end))
        };
        let found = |index: &u32| {
            let missing = || content(format!("frame {index} of video `{}` has no page of its own", row.video_id));
            frame(index).ok_or_else(missing)
        };
        frame_indices.iter().map(found).collect()
    }

    /// Returns the presentation times of the frames of the video at `row`. They rise.
    ///
    /// # Errors
    /// [`TableError::Content`] if the shard does not hold what the index says.
    pub fn pts_nanos(&self, row: &FrameIndexRow) -> Result<Vec<i64>, TableError> {
        let times = self.shard_of(row)?.read_times(row.row_group as usize);
        times.map_err(|source| TableError::Parquet { path: self.folder.join(&row.shard), source })
    }

    /// Reads all frames of the video at `row`: what [`ShardWriter::write_frames`] was given. What memory need not hold lies
    /// in a file in `folder`.
    ///
    /// # Errors
    /// [`TableError::Content`] if the shard does not hold what the index says.
    pub fn read_video(&self, row: &FrameIndexRow, folder: &Path) -> Result<FrameBuffer, TableError> {
        let shard = self.shard_of(row)?;
        let path = || self.folder.join(&row.shard);
        let mut frames = FrameBuffer::new(folder);
        let video_ids = shard
            .read_all(row.row_group as usize, &mut frames)
            .map_err(|source| TableError::Parquet { path: path(), source })?;
        if video_ids.iter().any(|video_id| *video_id != row.video_id) || frames.len() != row.num_frames as usize {
            let message = format!("row group {} does not hold the video `{}`", row.row_group, row.video_id);
            return Err(TableError::Content { path: path(), message });
        }
        Ok(frames)
    }

    /// Returns the shard of a video, which holds as many frames of it as the index says.
    fn shard_of(&self, row: &FrameIndexRow) -> Result<&Shard, TableError> {
        let shard = self.shard(&row.shard)?;
        let row_groups = shard.metadata.metadata().row_groups();
        let stored = row_groups.get(row.row_group as usize).map(RowGroupMetaData::num_rows);
        if stored == Some(i64::from(row.num_frames)) {
            return Ok(shard);
        }
        let found = stored.map_or("no such row group".to_owned(), |count| format!("{count} frames"));
        let message = format!(
            "row group {} should hold the {} frames of video `{}`, but there is {found}",
            row.row_group, row.num_frames, row.video_id
        );
        Err(TableError::Content { path: self.folder.join(&row.shard), message })
    }

    fn shard(&self, name: &str) -> Result<&Shard, TableError> {
        let path = self.folder.join(name);
        let Some(cell) = self.shards.get(name) else {
            let message = "the index does not name this shard".to_owned();
            return Err(TableError::Content { path, message });
        };
        if let Some(shard) = cell.get() {
            return Ok(shard);
        }
        // Two threads may both open it; one of the two is kept.
        let shard = Shard::open(&path)?;
        Ok(cell.get_or_init(|| shard))
    }
}

struct Shard {
    source: Bytes,
    metadata: ArrowReaderMetadata,
    /// Number of the column `image.bytes`.
    jpeg_column: usize,
}

impl Shard {
    fn open(path: &Path) -> Result<Self, TableError> {
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
            let message = format!("it has no column `{JPEG_COLUMN}`");
            return Err(TableError::Content { path: path.into(), message });
        };
        Ok(Self { source, metadata, jpeg_column })
    }

    fn read_times(&self, row_group: usize) -> Result<Vec<i64>, ParquetError> {
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

    /// Reads all frames of a row group. Returns the video ids that stand beside them, each once in a row.
    fn read_all(&self, row_group: usize, frames: &mut FrameBuffer) -> Result<Vec<String>, ParquetError> {
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
#[expect(unsafe_code, reason = "a mapped file may change under us; shards lie in the store, where no file ever does")]
fn map(path: &Path) -> Result<Bytes, TableError> {
    let file = File::open(path)?;
    let mapped = unsafe { memmap2::Mmap::map(file.file()) }?;
    Ok(Bytes::from_owner(mapped))
}

/// Returns where the value lies in a page of `image.bytes` as [`ShardWriter`] writes it: a header, the definition level of
/// the one value, and itself, each with its length before it and not compressed.
fn jpeg_of_page(page: &[u8]) -> Option<Range<usize>> {
    /// Type and number of the next field of a Thrift structure: an i32, the one after the last.
    const NEXT_I32: u8 = 0x15;
    let mut rest = page;
    // Type of the page, size as it was, size as it is.
    let mut sizes = [0; 3];
    for size in &mut sizes {
        rest = rest.strip_prefix(&[NEXT_I32])?;
        *size = varint(&mut rest)? >> 1; // zigzag; none is negative
    }
    let [data_page, size, stored_size] = sizes;
    let value = page.len().checked_sub(usize::try_from(stored_size).ok()?)?;
    let (_level, value) = counted(page.get(value..)?)?;
    let (value, rest) = counted(value)?;
    let whole = data_page == 0 && size == stored_size && rest.is_empty();
    whole.then(|| page.len() - value.len()..page.len())
}

/// Splits off bytes whose number stands before them.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// Takes a variable-length integer from the front of `bytes`.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte;
        (byte, *bytes) = bytes.split_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_rows;

    fn jpeg(video: u8, frame: u8) -> Vec<u8> {
        vec![video.wrapping_mul(31) ^ frame; 1000 + 10 * usize::from(frame)]
    }

    fn video(video: u8, count: u8) -> Vec<EncodedFrame> {
        let frame = |index| EncodedFrame { pts_nanos: i64::from(index) * 40_000_000, jpeg: jpeg(video, index) };
        (0..count).map(frame).collect()
    }

    /// Writes videos `a` (5 frames) and `b` (200 frames) into one shard, with an index.
    fn write(folder: &Path) -> Vec<FrameIndexRow> {
        let mut writer = ShardWriter::create(&folder.join("shard-00000.parquet")).expect("created");
        let mut rows = Vec::new();
        for (number, (video_id, count)) in [("a", 5), ("b", 200)].into_iter().enumerate() {
            let row_group = writer.write_video(video_id, &video(number as u8, count), 40, 30).expect("written");
            assert_eq!(row_group as usize, number);
            rows.push(FrameIndexRow {
                video_id: video_id.into(),
                shard: "shard-00000.parquet".into(),
                row_group,
                num_frames: u32::from(count),
                width_px: 40,
                height_px: 30,
                fps: 25.0,
            });
        }
        writer.finish().expect("finished");
        write_rows(&folder.join(INDEX_FILE), &rows).expect("written");
        rows
    }

    #[test]
    fn frames_come_back_in_any_order() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path());
        let shards = FrameShards::open(folder.path()).expect("opened");
        assert_eq!(shards.index().len(), 2);
        assert!(shards.find("c").is_none());
        let check = |video_id: &str, number: u8, indices: &[u32]| {
            let row = shards.find(video_id).expect("there");
            let expect: Vec<_> = indices.iter().map(|&index| jpeg(number, index as u8)).collect();
            assert_eq!(shards.read(row, indices).expect("read"), expect, "{video_id} {indices:?}");
        };
        check("a", 0, &[0, 1, 2, 3, 4]);
        check("b", 1, &[199, 0, 57, 57, 56, 199, 199]);
        check("b", 1, &[3]);
        check("b", 1, &[]);
        // Whatever is written comes back, whatever its length does to the header of its page.
        for bytes in [0, 1, 59, 60, 8_000, 70_000, 3_000_000] {
            let folder = tempfile::tempdir().expect("a folder");
            let mut writer = ShardWriter::create(&folder.path().join("shard-00000.parquet")).expect("created");
            let frame = EncodedFrame { pts_nanos: 0, jpeg: vec![7; bytes] };
            writer.write_video("a", &[frame.clone(), frame], 40, 30).expect("written");
            writer.finish().expect("finished");
            let row = FrameIndexRow { num_frames: 2, ..shards.index()[0].clone() };
            write_rows(&folder.path().join(INDEX_FILE), std::slice::from_ref(&row)).expect("written");
            let shards = FrameShards::open(folder.path()).expect("opened");
            assert_eq!(shards.read(&row, &[1, 0]).expect("read"), [vec![7; bytes], vec![7; bytes]]);
        }
    }

    #[test]
    fn a_whole_video_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = write(folder.path());
        let index = folder.path().join("elsewhere");
        fs_err::rename(folder.path().join(INDEX_FILE), &index).expect("moved");
        let shards = FrameShards::open_with_index(folder.path(), &index).expect("opened");
        let read = |row: &FrameIndexRow| shards.read_video(row, folder.path());
        assert_eq!(read(&rows[0]).expect("read").to_vec().expect("frames"), video(0, 5));
        assert_eq!(read(&rows[1]).expect("read").to_vec().expect("frames"), video(1, 200));
        let times: Vec<i64> = (0..200).map(|index| index * 40_000_000).collect();
        assert_eq!(shards.pts_nanos(&rows[1]).expect("read"), times);
        let error = read(&FrameIndexRow { video_id: "c".into(), ..rows[1].clone() }).err().expect("another");
        assert!(error.to_string().ends_with("row group 1 does not hold the video `c`"), "{error}");
    }

    #[test]
    fn many_threads_read_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path());
        let shards = FrameShards::open(folder.path()).expect("opened");
        let row = shards.find("b").expect("there");
        std::thread::scope(|scope| {
            for start in 0..8_u32 {
                let shards = &shards;
                scope.spawn(move || {
                    for index in (start..200).step_by(8) {
                        assert_eq!(shards.read(row, &[index]).expect("read"), [jpeg(1, index as u8)]);
                    }
                });
            }
        });
    }

    #[test]
    fn equal_frames_are_equal_bytes_and_each_has_a_page() {
        let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        write(one.path());
        write(two.path());
        let bytes = |folder: &Path| fs_err::read(folder.join("shard-00000.parquet")).expect("read");
        assert_eq!(bytes(one.path()), bytes(two.path()));
        let shard = Shard::open(&one.path().join("shard-00000.parquet")).expect("opened");
        let pages = shard.metadata.metadata().page_index_for_row_group(1);
        let count = |column| pages.page_locations(column).expect("an offset index").len();
        assert_eq!((count(1), count(5)), (1, 200)); // frame_index and image.bytes
    }

    /// If this fails, raise the version of whatever writes shards: what is in stores has other bytes.
    #[test]
    fn bytes_stay_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path());
        let digest = |name: &str| {
            let bytes = fs_err::read(folder.path().join(name)).expect("read");
            blake3::hash(&bytes).to_hex()[..16].to_owned()
        };
        assert_eq!([digest("shard-00000.parquet"), digest(INDEX_FILE)], ["e69a553af0811bd1", "3932b8965a32e914"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = write(folder.path());
        let shards = FrameShards::open(folder.path()).expect("opened");
        let check = |row: &FrameIndexRow, indices: &[u32], expect: &str| {
            let error = shards.read(row, indices).expect_err("not there");
            assert!(error.to_string().contains(expect), "{error}");
        };
        check(&rows[0], &[0, 5], "video `a` has frames 0 to 4, but no frame 5");
        check(&FrameIndexRow { row_group: 7, ..rows[0].clone() }, &[0], "no such row group");
        check(&FrameIndexRow { num_frames: 4, ..rows[0].clone() }, &[0], "5 frames");
        check(&FrameIndexRow { shard: "other".into(), ..rows[0].clone() }, &[0], "does not name this shard");
    }

    #[test]
    fn a_broken_shard_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = write(folder.path());
        let path = folder.path().join("shard-00000.parquet");
        let bytes = fs_err::read(&path).expect("read");
        for length in [0, 3, 100, bytes.len() / 2, bytes.len() - 1] {
            fs_err::write(&path, &bytes[..length]).expect("written");
            let shards = FrameShards::open(folder.path()).expect("opened");
            shards.read(&rows[1], &[199]).expect_err("truncated");
        }
    }

    #[test]
    fn a_shard_of_no_frames_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = ShardWriter::create(&folder.path().join("a.parquet")).expect("created");
        assert!(writer.write_video("a", &[], 1, 1).is_err());
    }
}
