//! The first difference between two Parquet files: [`difference`] compares bits, [`difference_beyond`] numbers.

use crate::TableError;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use fs_err::File;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::path::Path;

/// Returns whether two numbers count as equal.
type Accepts<'a> = &'a dyn Fn(f64, f64) -> bool;

/// Describes the first difference between two Parquet files: the columns, a cell, or the number of rows. Returns `None` if all rows
/// are equal; then the files differ in their metadata only.
pub fn difference(one: &Path, two: &Path) -> Result<Option<String>, TableError> {
    first(one, two, &|a, b| a.as_ref() == b.as_ref())
}

/// Returns where two Parquet files differ first if floats that `accepts` accepts count as equal.
pub fn difference_beyond(one: &Path, two: &Path, accepts: Accepts) -> Result<Option<String>, TableError> {
    first(one, two, &|a, b| within(a, b, accepts))
}

/// Returns whether two arrays are equal, where floats only have to be accepted.
fn within(a: &ArrayRef, b: &ArrayRef, accepts: Accepts) -> bool {
    if a.data_type() != b.data_type() || a.len() != b.len() {
        return false;
    }
    let all = |number: &dyn Fn(&ArrayRef, usize) -> f64| {
        (0..a.len()).all(|at| match (a.is_null(at), b.is_null(at)) {
            (false, false) => accepts(number(a, at), number(b, at)),
            (one, two) => one == two,
        })
    };
    match a.data_type() {
        DataType::Float32 => all(&|array, at| f64::from(array.as_primitive::<Float32Type>().value(at))),
        DataType::Float64 => all(&|array, at| array.as_primitive::<Float64Type>().value(at)),
        DataType::List(_) => (0..a.len()).all(|at| match (a.is_null(at), b.is_null(at)) {
            (false, false) => within(&a.as_list::<i32>().value(at), &b.as_list::<i32>().value(at), accepts),
            (one, two) => one == two,
        }),
        DataType::LargeList(_) => (0..a.len()).all(|at| match (a.is_null(at), b.is_null(at)) {
            (false, false) => within(&a.as_list::<i64>().value(at), &b.as_list::<i64>().value(at), accepts),
            (one, two) => one == two,
        }),
        _ => a.as_ref() == b.as_ref(),
    }
}

fn first(one: &Path, two: &Path, equal: &dyn Fn(&ArrayRef, &ArrayRef) -> bool) -> Result<Option<String>, TableError> {
    let (mut a, mut b) = (Rows::open(one)?, Rows::open(two)?);
    if a.columns != b.columns {
        return Ok(Some(format!("the columns are {} and {}", a.columns.join(", "), b.columns.join(", "))));
    }
    let mut row = 0;
    loop {
        match (a.fill(one)?, b.fill(two)?) {
            (0, 0) => return Ok(None),
            (0, _) | (_, 0) => return Ok(Some(format!("one has {row} rows, the other has more"))),
            (left, right) => {
                let count = left.min(right);
                let (ours, theirs) = (a.take(count), b.take(count));
                if let Some((offset, column)) = first_difference(&ours, &theirs, equal) {
                    return Ok(Some(format!("row {}, column `{}`", row + offset, a.columns[column])));
                }
                row += count;
            }
        }
    }
}

/// The rows of a file, read in batches.
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

    /// Reads the next batch if none is left over, and returns the number of its rows; 0 at the end.
    fn fill(&mut self, path: &Path) -> Result<usize, TableError> {
        while self.ready.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
            let Some(next) = self.reader.next() else { return Ok(0) };
            let wrong =
                |source: arrow_schema::ArrowError| TableError::Parquet { path: path.into(), source: source.into() };
            self.ready = Some(next.map_err(wrong)?);
        }
        Ok(self.ready.as_ref().map_or(0, RecordBatch::num_rows))
    }

    fn take(&mut self, count: usize) -> Vec<ArrayRef> {
        let Some(batch) = self.ready.take() else { return Vec::new() };
        self.ready = Some(batch.slice(count, batch.num_rows() - count));
        batch.slice(0, count).columns().to_vec()
    }
}

/// Returns row and column of the first cell that differs, row by row.
fn first_difference(
    ours: &[ArrayRef],
    theirs: &[ArrayRef],
    equal: &dyn Fn(&ArrayRef, &ArrayRef) -> bool,
) -> Option<(usize, usize)> {
    let in_column = |(column, (a, b)): (usize, (&ArrayRef, &ArrayRef))| {
        if equal(a, b) {
            return None;
        }
        let row = (0..a.len()).find(|&row| !equal(&a.slice(row, 1), &b.slice(row, 1)))?;
        Some((row, column))
    };
    ours.iter().zip(theirs).enumerate().filter_map(in_column).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_rows;
    use pipe_schemas::tables::{ClassRow, PredictionRow};

    #[test]
    fn the_first_different_cell_is_reported() {
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
        check(&["a", "b"], Some("one has 2 rows, the other has more"));
    }

    #[test]
    fn floats_within_a_tolerance_are_equal_also_in_lists() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, logits: [f32; 2], video_id: &str| {
            let row = PredictionRow { video_id: video_id.into(), logits: logits.to_vec(), ..PredictionRow::default() };
            let path = folder.path().join(file);
            write_rows(&path, &[row]).expect("written");
            path
        };
        let one = write("one", [1.0, -2.0], "a");
        let check = |logits: [f32; 2], video_id: &str, expect: Option<&str>| {
            let two = write("two", logits, video_id);
            let found = difference_beyond(&one, &two, &|a, b| (a - b).abs() <= 0.1).expect("read");
            assert_eq!(found.as_deref(), expect);
        };
        check([1.05, -2.05], "a", None);
        check([1.05, -2.2], "a", Some("row 0, column `logits`"));
        check([1.0, -2.0], "b", Some("row 0, column `video_id`"));
    }
}
