//! [`difference`]: where two Parquet files differ first.

use crate::TableError;
use arrow::array::{Array, RecordBatch};
use fs_err::File;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::path::Path;

/// Says where two Parquet files differ first: columns, row and column, or number of rows. `None` if their rows are equal;
/// then the files differ in their metadata alone.
pub fn difference(one: &Path, two: &Path) -> Result<Option<String>, TableError> {
    let (mut a, mut b) = (Rows::open(one)?, Rows::open(two)?);
    if a.columns != b.columns {
        return Ok(Some(format!("columns {} and {}", a.columns.join(", "), b.columns.join(", "))));
    }
    let mut row = 0;
    loop {
        match (a.fill(one)?, b.fill(two)?) {
            (0, 0) => return Ok(None),
            (0, _) | (_, 0) => return Ok(Some(format!("one ends after {row} rows, the other goes on"))),
            (left, right) => {
                let count = left.min(right);
                let (ours, theirs) = (a.take(count), b.take(count));
                if let Some((offset, column)) = first_difference(&ours, &theirs) {
                    return Ok(Some(format!("row {}, column `{}`", row + offset, a.columns[column])));
                }
                row += count;
            }
        }
    }
}

/// The rows of a file, some at a time.
struct Rows {
    columns: Vec<String>,
    reader: ParquetRecordBatchReader,
    ready: Option<RecordBatch>,
}

impl Rows {
    fn open(path: &Path) -> Result<Self, TableError> {
        let wrong = |source| TableError::Parquet { path: path.into(), source };
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?.into_parts().0).map_err(wrong)?;
        let columns = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        Ok(Self { columns, reader: builder.build().map_err(wrong)?, ready: None })
    }

    /// Makes sure that there are rows to take, if there are any left, and returns how many.
    fn fill(&mut self, path: &Path) -> Result<usize, TableError> {
        while self.ready.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
            let Some(next) = self.reader.next() else { return Ok(0) };
            let wrong =
                |source: arrow::error::ArrowError| TableError::Parquet { path: path.into(), source: source.into() };
            self.ready = Some(next.map_err(wrong)?);
        }
        Ok(self.ready.as_ref().map_or(0, RecordBatch::num_rows))
    }

    fn take(&mut self, count: usize) -> Vec<arrow::array::ArrayRef> {
        let Some(batch) = self.ready.take() else { return Vec::new() };
        self.ready = Some(batch.slice(count, batch.num_rows() - count));
        batch.slice(0, count).columns().to_vec()
    }
}

/// Returns row and column of the first cell that differs, row by row.
fn first_difference(ours: &[arrow::array::ArrayRef], theirs: &[arrow::array::ArrayRef]) -> Option<(usize, usize)> {
    let in_column = |(column, (a, b)): (usize, (&arrow::array::ArrayRef, &arrow::array::ArrayRef))| {
        if a.as_ref() == b.as_ref() {
            return None;
        }
        let row = (0..a.len()).find(|&row| a.slice(row, 1).as_ref() != b.slice(row, 1).as_ref())?;
        Some((row, column))
    };
    ours.iter().zip(theirs).enumerate().filter_map(in_column).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_rows;
    use pipe_schemas::tables::ClassRow;

    #[test]
    fn the_first_cell_that_differs_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, names: &[&str]| {
            let row =
                |(index, name): (usize, &&str)| ClassRow { class_index: index as u32, class_name: (*name).into() };
            let path = folder.path().join(file);
            write_rows(&path, &names.iter().enumerate().map(row).collect::<Vec<_>>()).expect("written");
            path
        };
        let one = write("one", &["a", "b", "c"]);
        let check = |names: &[&str], expect: Option<&str>| {
            let two = write("two", names);
            assert_eq!(difference(&one, &two).expect("read").as_deref(), expect);
        };
        check(&["a", "b", "c"], None);
        check(&["a", "x", "y"], Some("row 1, column `class_name`"));
        check(&["a", "b"], Some("one ends after 2 rows, the other goes on"));
    }
}
