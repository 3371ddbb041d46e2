//! Clip shards: Parquet files whose rows are clips as a network sees them, before normalisation. [`ClipWriter`] writes them;
//! [`read_clips`] or any Parquet library reads them.
//!
//! | column | |
//! |---|---|
//! | `epoch`, `position`, `video_id`, `start_secs`, `end_secs`, `view` | as in `samples` |
//! | `class_indices`, `class_shares` | the classes of the clip, ascending, and the share of each; below 1 if clips are blended |
//! | `frames`, `height`, `width` | its size |
//! | `pixels` | `[frames, height, width, 3]` as bytes, RGB, the last axis fastest |
//!
//! Each clip has a page of its own, so that a reader can load single clips.

use crate::TableError;
use crate::file::{self, ShardFile};
use crate::settings::properties;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::{ArrayRef, BinaryArray, Float32Array, Float64Array, Int32Array, ListArray, RecordBatch, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use pipe_schemas::tables::SampleRow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const TABLE: &str = "clips";
const VERSION: u32 = 1;

/// Writes a shard, row group by row group. Equal clips give equal bytes.
pub struct ClipWriter {
    path: PathBuf,
    schema: SchemaRef,
    shape: [usize; 3],
    writer: ArrowWriter<ShardFile>,
}

/// The clips of a row group.
pub struct ClipGroup<'a> {
    /// `N` rows.
    pub rows: &'a [SampleRow],
    /// `[N, K]`: share of each class.
    pub targets: &'a [f32],
    /// `[N, T, H, W, 3]`.
    pub pixels: Vec<u8>,
}

/// The pixels of a clip as they are shown to a network.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredClip {
    /// Epoch of its row in `samples`, from 0.
    pub epoch: u32,
    /// Position of its row in the epoch, from 0.
    pub position: u32,
    /// Its classes, ascending, and the share of each.
    pub labels: Vec<(u32, f32)>,
    /// `[T, H, W, 3]`.
    pub pixels: Vec<u8>,
}

/// Reads the clips of a shard in their order. Columns that `samples` has too are skipped, except the key.
pub fn read_clips(path: &Path) -> Result<Vec<StoredClip>, TableError> {
    let mut clips = Vec::new();
    for batch in crate::rows::read_batches(path, TABLE, VERSION)? {
        let columns = |name: &str| {
            let message =
                || TableError::Content { path: path.into(), message: format!("the column `{name}` is missing") };
            batch.column_by_name(name).ok_or_else(message)
        };
        let number = |name: &str| Ok::<_, TableError>(columns(name)?.as_primitive::<Int32Type>().values());
        let (epochs, positions) = (number("epoch")?, number("position")?);
        let (classes, shares) = (columns("class_indices")?.as_list::<i32>(), columns("class_shares")?.as_list::<i32>());
        let pixels = columns("pixels")?.as_binary::<i32>();
        clips.extend((0..batch.num_rows()).map(|row| {
            let (classes, shares) = (classes.value(row), shares.value(row));
            let classes = classes.as_primitive::<Int32Type>().values().iter().map(|class| *class as u32);
            StoredClip {
                epoch: epochs[row] as u32,
                position: positions[row] as u32,
                labels: classes.zip(shares.as_primitive::<Float32Type>().values().iter().copied()).collect(),
                pixels: pixels.value(row).to_vec(),
            }
        }));
    }
    Ok(clips)
}

impl ClipWriter {
    /// Creates a file for clips of `shape`: `[T, H, W]`.
    pub fn create(path: &Path, shape: [usize; 3]) -> Result<Self, TableError> {
        if shape.iter().product::<usize>() > i32::MAX as usize / 3 {
            let [frames, height, width] = shape;
            let message = format!("a clip of {frames} frames of {width} x {height} pixels is larger than 2 GiB");
            return Err(TableError::Content { path: path.into(), message });
        }
        let schema = schema();
        let options = ArrowWriterOptions::new().with_properties(shard_properties()).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file::create(path)?, Arc::clone(&schema), options);
        let writer = writer.map_err(|source| TableError::Parquet { path: path.into(), source })?;
        Ok(Self { path: path.into(), schema, shape, writer })
    }

    /// Writes a row group.
    ///
    /// # Errors
    /// [`TableError::Content`] if the number of pixels or targets does not match the rows.
    pub fn write(&mut self, group: ClipGroup<'_>) -> Result<(), TableError> {
        let (count, clip_bytes) = (group.rows.len(), 3 * self.shape.iter().product::<usize>());
        let num_classes = group.targets.len() / count.max(1);
        if group.pixels.len() != count * clip_bytes || group.targets.len() != count * num_classes {
            let (path, pixels) = (self.path.clone(), group.pixels.len());
            return Err(TableError::Content {
                path,
                message: format!("{pixels} bytes of pixels do not match {count} clips"),
            });
        }
        let written = batch(&self.schema, self.shape, group)
            .and_then(|batch| self.writer.write(&batch))
            .and_then(|()| self.writer.flush());
        written.map_err(|source| TableError::Parquet { path: self.path.clone(), source })
    }

    /// Writes the footer, which completes the file.
    pub fn finish(self) -> Result<(), TableError> {
        file::finish(self.writer, &self.path)
    }
}

fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("element", data_type, false))
}

fn schema() -> SchemaRef {
    let number = |name: &str| Field::new(name, DataType::Int32, false);
    Arc::new(Schema::new(vec![
        number("epoch"),
        number("position"),
        Field::new("video_id", DataType::Utf8, false),
        Field::new("start_secs", DataType::Float64, true),
        Field::new("end_secs", DataType::Float64, true),
        number("view"),
        Field::new("class_indices", DataType::List(item(DataType::Int32)), false),
        Field::new("class_shares", DataType::List(item(DataType::Float32)), false),
        number("frames"),
        number("height"),
        number("width"),
        Field::new("pixels", DataType::Binary, false),
    ]))
}

fn shard_properties() -> WriterProperties {
    let pixels = || ColumnPath::from("pixels");
    properties(TABLE, VERSION)
        .set_column_data_page_row_count_limit(pixels(), 1)
        // Number of values after which the limit is checked.
        .set_write_batch_size(1)
        .set_column_dictionary_enabled(pixels(), false)
        .set_column_encoding(pixels(), Encoding::PLAIN)
        .set_column_statistics_enabled(pixels(), EnabledStatistics::None)
        .build()
}

fn batch(schema: &SchemaRef, shape: [usize; 3], group: ClipGroup<'_>) -> Result<RecordBatch, ParquetError> {
    let ClipGroup { rows, targets, pixels } = group;
    let count = rows.len();
    let number = |of: fn(&SampleRow) -> u32| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| of(row) as i32)))
    };
    let time =
        |of: fn(&SampleRow) -> Option<f64>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<Float64Array>()) };
    let side = |length: usize| -> ArrayRef { Arc::new(Int32Array::from_value(length as i32, count)) };
    let (lengths, classes, shares) = labels(targets, count);
    let list = |data_type: DataType, values: ArrayRef| -> Result<ArrayRef, ParquetError> {
        let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
        Ok(Arc::new(ListArray::try_new(item(data_type), offsets, values, None)?))
    };
    let clip_bytes = std::iter::repeat_n(pixels.len() / count.max(1), count);
    let pixels = BinaryArray::try_new(OffsetBuffer::from_lengths(clip_bytes), Buffer::from_vec(pixels), None)?;
    let columns: Vec<ArrayRef> = vec![
        number(|row| row.epoch),
        number(|row| row.position),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.video_id))),
        time(|row| row.start_secs),
        time(|row| row.end_secs),
        number(|row| row.view),
        list(DataType::Int32, Arc::new(Int32Array::from(classes)))?,
        list(DataType::Float32, Arc::new(Float32Array::from(shares)))?,
        side(shape[0]),
        side(shape[1]),
        side(shape[2]),
        Arc::new(pixels),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Returns the number of classes of each clip, and the classes and shares of all clips.
fn labels(targets: &[f32], count: usize) -> (Vec<usize>, Vec<i32>, Vec<f32>) {
    let (mut lengths, mut classes, mut shares) = (Vec::with_capacity(count), Vec::new(), Vec::new());
    for target in targets.chunks_exact((targets.len() / count.max(1)).max(1)) {
        let before = classes.len();
        for (class, share) in (0..).zip(target).filter(|(_, share)| **share > 0.0) {
            classes.push(class);
            shares.push(*share);
        }
        lengths.push(classes.len() - before);
    }
    (lengths, classes, shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::metadata::RowGroupMetaData;

    fn rows(count: u32) -> Vec<SampleRow> {
        let row = |position| SampleRow {
            position,
            video_id: format!("v{position}"),
            start_secs: (position == 1).then_some(0.5),
            ..SampleRow::default()
        };
        (0..count).map(row).collect()
    }

    fn write(path: &Path) {
        let rows = rows(3);
        let mut writer = ClipWriter::create(path, [1, 2, 3]).expect("created");
        let pixels: Vec<u8> = (0..54).collect();
        let group = |range: std::ops::Range<usize>, targets| ClipGroup {
            rows: &rows[range.clone()],
            targets,
            pixels: pixels[18 * range.start..18 * range.end].to_vec(),
        };
        writer.write(group(0..2, &[0.0, 1.0, 0.25, 0.75])).expect("written");
        writer.write(group(2..3, &[1.0, 1.0])).expect("written");
        writer.finish().expect("finished");
    }

    #[test]
    fn clips_are_read_back_from_row_groups() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        write(&path);
        let clip = |position: u32, labels: &[(u32, f32)]| {
            let first = 18 * position as u8;
            StoredClip { epoch: 0, position, labels: labels.into(), pixels: (first..first + 18).collect() }
        };
        let expect = [clip(0, &[(1, 1.0)]), clip(1, &[(0, 0.25), (1, 0.75)]), clip(2, &[(0, 1.0), (1, 1.0)])];
        assert_eq!(read_clips(&path).expect("read"), expect);
        let bytes = bytes::Bytes::from(fs_err::read(&path).expect("read"));
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet");
        let counts: Vec<i64> = builder.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
        assert_eq!(counts, [2, 1]);
        let columns: Vec<&str> = builder.schema().fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(columns[6..], ["class_indices", "class_shares", "frames", "height", "width", "pixels"]);
    }

    /// If this fails, raise the version of `augment`: stores contain other bytes.
    #[test]
    fn equal_clips_are_equal_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let digest = |name: &str| {
            write(&folder.path().join(name));
            blake3::hash(&fs_err::read(folder.path().join(name)).expect("read")).to_hex()[..16].to_owned()
        };
        assert_eq!([digest("a"), digest("b")], ["f97d3acd5c4867f0", "f97d3acd5c4867f0"]);
    }

    #[test]
    fn clips_of_another_size_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = ClipWriter::create(&folder.path().join("a"), [1, 2, 3]).expect("created");
        let group = ClipGroup { rows: &rows(2), targets: &[1.0, 1.0], pixels: vec![0; 35] };
        let error = writer.write(group).expect_err("too few bytes");
        assert!(error.to_string().ends_with("35 bytes of pixels do not match 2 clips"), "{error}");
    }
}
