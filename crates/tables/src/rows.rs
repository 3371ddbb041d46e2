//! [`write_rows`] and [`read_rows`]: tables whose rows are plain structs.

use crate::TableError;
use crate::settings::properties;
use arrow_array::RecordBatch;
use arrow_schema::FieldRef;
use fs_err::File;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipe_schemas::tables::Table;
use serde::{Serialize, de::DeserializeOwned};
use serde_arrow::schema::{SchemaLike, TracingOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) fn fields<R: DeserializeOwned>() -> Result<Vec<FieldRef>, serde_arrow::Error> {
    let options = TracingOptions::default()
        .enums_without_data_as_strings(true)
        .strings_as_large_utf8(false)
        .sequence_as_large_list(false);
    Vec::<FieldRef>::from_type::<R>(options)
}

/// Writes `rows` in their order. Equal rows give equal bytes.
pub fn write_rows<R: Table + Serialize + DeserializeOwned>(path: &Path, rows: &[R]) -> Result<(), TableError> {
    let columns = |source| TableError::Columns { path: path.into(), table: R::NAME, source: Box::new(source) };
    let fields = fields::<R>().map_err(columns)?;
    let mut writer = Writer::create(path, &fields, R::NAME, R::VERSION)?;
    for chunk in rows.chunks(crate::settings::ROW_GROUP_ROWS) {
        writer.write(&serde_arrow::to_record_batch(&fields, &chunk).map_err(columns)?)?;
    }
    writer.close()
}

/// Reads all rows in their order.
pub fn read_rows<R: Table + DeserializeOwned>(path: &Path) -> Result<Vec<R>, TableError> {
    let columns = |source| TableError::Columns { path: path.into(), table: R::NAME, source: Box::new(source) };
    let mut rows = Vec::new();
    for batch in read_batches(path, R::NAME, R::VERSION)? {
        rows.extend(serde_arrow::from_record_batch::<Vec<R>>(&batch).map_err(columns)?);
    }
    Ok(rows)
}

/// Returns the number of rows without reading them.
pub fn num_rows<R: Table>(path: &Path) -> Result<usize, TableError> {
    Ok(open(path, R::NAME, R::VERSION)?.metadata().file_metadata().num_rows() as usize)
}

// The rest does not depend on the row type. So the generic code of `parquet` is compiled once, not in every crate that reads a table.

pub(crate) struct Writer {
    path: PathBuf,
    writer: ArrowWriter<std::fs::File>,
}

impl Writer {
    pub(crate) fn create(
        path: &Path,
        fields: &[FieldRef],
        table: &'static str,
        version: u32,
    ) -> Result<Self, TableError> {
        let schema = Arc::new(arrow_schema::Schema::new(fields.to_vec()));
        let properties = properties(table, version).build();
        let file = File::create(path)?.into_parts().0;
        let writer = ArrowWriter::try_new(file, schema, Some(properties));
        let writer = writer.map_err(|source| TableError::Parquet { path: path.into(), source })?;
        Ok(Self { path: path.into(), writer })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        self.writer.write(batch).map_err(|source| TableError::Parquet { path: self.path.clone(), source })
    }

    pub(crate) fn close(self) -> Result<(), TableError> {
        let closed = self.writer.close().map(drop);
        closed.map_err(|source| TableError::Parquet { path: self.path, source })
    }
}

pub(crate) fn read_batches(path: &Path, table: &'static str, version: u32) -> Result<Vec<RecordBatch>, TableError> {
    let parquet = |source| TableError::Parquet { path: path.into(), source };
    let batches = open(path, table, version)?.build().map_err(parquet)?;
    batches.map(|batch| batch.map_err(|source| parquet(source.into()))).collect()
}

fn open(
    path: &Path,
    table: &'static str,
    version: u32,
) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>, TableError> {
    let parquet = |source| TableError::Parquet { path: path.into(), source };
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?.into_parts().0).map_err(parquet)?;
    check_table(path, table, version, reader.metadata().file_metadata().key_value_metadata())?;
    Ok(reader)
}

pub(crate) fn check_table(
    path: &Path,
    table: &'static str,
    version: u32,
    metadata: Option<&Vec<parquet::file::metadata::KeyValue>>,
) -> Result<(), TableError> {
    let value = |key: &str| {
        let entry = metadata.into_iter().flatten().find(|entry| entry.key == key);
        entry.and_then(|entry| entry.value.clone()).unwrap_or_default()
    };
    let found = (value("pipe.table"), value("pipe.table_version"));
    if found == (table.to_owned(), version.to_string()) {
        return Ok(());
    }
    let found = if found.0.is_empty() {
        "a table of another program".to_owned()
    } else {
        format!("`{}` version {}", found.0, found.1)
    };
    Err(TableError::OtherTable { path: path.into(), table, version, found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::tables::{ClassRow, SampleRow};

    fn row(video_id: &str) -> SampleRow {
        SampleRow {
            epoch: 1,
            position: 2,
            video_id: video_id.into(),
            class_index: 3,
            view: 0,
            frame_indices: vec![4, 5],
            crop_x: 0.5,
            crop_y: 0.0,
            crop_width: 10.0,
            crop_height: 11.0,
            flip: true,
            ..SampleRow::default()
        }
    }

    #[test]
    fn rows_are_read_back_and_equal_rows_are_equal_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = vec![row("a"), row("ü b")];
        let (one, two) = (folder.path().join("one.parquet"), folder.path().join("two.parquet"));
        write_rows(&one, &rows).expect("written");
        write_rows(&two, &rows).expect("written");
        assert_eq!(read_rows::<SampleRow>(&one).expect("read"), rows);
        assert_eq!(fs_err::read(&one).expect("read"), fs_err::read(&two).expect("read"));
    }

    #[test]
    fn another_table_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        let rows = vec![ClassRow { class_index: 0, class_name: "run".into() }];
        write_rows(&path, &rows).expect("written");
        assert_eq!(read_rows::<ClassRow>(&path).expect("read"), rows);
        let error = read_rows::<SampleRow>(&path).expect_err("another table");
        assert!(error.to_string().contains("holds `classes` version 1"), "{error}");
    }

    #[test]
    fn an_empty_table_is_valid() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        write_rows::<SampleRow>(&path, &[]).expect("written");
        assert_eq!(read_rows::<SampleRow>(&path).expect("read"), []);
    }
}
