//! [`write_training_log`] and [`read_training_log`]: a table with as many columns as there are metrics.

use crate::TableError;
use crate::rows::{Writer, fields, read_batches};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use pipe_schemas::stages::evaluate::Figures;
use pipe_schemas::tables::{Table, TrainingLogRow};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// What stands before the name of a metric in its column.
const PREFIX: &str = "val_";
/// The column of [`Figures::num_videos`], after [`PREFIX`].
const NUM_VIDEOS: &str = "num_videos";

/// The columns that do not depend on the metrics.
#[derive(Serialize, Deserialize)]
struct Fixed {
    epoch: u32,
    num_clips: u32,
    num_left_out: u32,
    lr: f64,
    loss: f64,
    top1: f64,
    grad_norm: f64,
}

/// Writes the log of a training run. Each metric of a validation is a column `val_NAME`, which is null for epochs without a
/// validation; `val_num_videos` is the number of videos that these values stand for. Equal rows give equal bytes.
pub fn write_training_log(path: &Path, rows: &[TrainingLogRow]) -> Result<(), TableError> {
    let mut fields = fields::<Fixed>().map_err(columns(path))?;
    let fixed: Vec<Fixed> = rows.iter().map(Fixed::of).collect();
    let batch = serde_arrow::to_record_batch(&fields, &fixed).map_err(columns(path))?;
    let mut arrays = batch.columns().to_vec();
    for (name, array) in validation_columns(rows) {
        fields.push(Arc::new(Field::new(format!("{PREFIX}{name}"), array.data_type().clone(), true)));
        arrays.push(array);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), arrays);
    let batch = batch.map_err(|source| TableError::Parquet { path: path.into(), source: source.into() })?;
    let mut writer = Writer::create(path, &fields, TrainingLogRow::NAME, TrainingLogRow::VERSION)?;
    writer.write(&batch)?;
    writer.close()
}

/// Reads the log of a training run.
pub fn read_training_log(path: &Path) -> Result<Vec<TrainingLogRow>, TableError> {
    let mut rows = Vec::new();
    for batch in read_batches(path, TrainingLogRow::NAME, TrainingLogRow::VERSION)? {
        let fixed: Vec<Fixed> = serde_arrow::from_record_batch(&batch).map_err(columns(path))?;
        rows.extend(fixed.into_iter().enumerate().map(|(at, fixed)| fixed.with_validation(validation(&batch, at))));
    }
    Ok(rows)
}

/// Returns the columns of all metrics that any row has, in the order in which they first occur, and their denominator.
fn validation_columns(rows: &[TrainingLogRow]) -> Vec<(String, ArrayRef)> {
    let validations = || rows.iter().filter_map(|row| row.validation.as_ref());
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in validations().flat_map(|figures| &figures.values) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let column = |name: &String| -> (String, ArrayRef) {
        let values = rows.iter().map(|row| row.validation.as_ref().and_then(|figures| figures.get(name)));
        (name.clone(), Arc::new(values.collect::<Float64Array>()))
    };
    let mut columns: Vec<_> = names.into_iter().map(column).collect();
    if validations().next().is_some() {
        let counts = rows.iter().map(|row| row.validation.as_ref().map(|figures| figures.num_videos));
        columns.push((NUM_VIDEOS.to_owned(), Arc::new(counts.collect::<UInt64Array>())));
    }
    columns
}

/// Returns the validation of a row, if it has one.
fn validation(batch: &RecordBatch, at: usize) -> Option<Figures> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let columns =
        columns.filter_map(|(field, array): (&FieldRef, _)| Some((field.name().strip_prefix(PREFIX)?, array)));
    let (mut values, mut num_videos) = (Vec::new(), None);
    for (name, array) in columns.filter(|(_, array)| array.is_valid(at)) {
        match array.data_type() {
            DataType::UInt64 if name == NUM_VIDEOS => num_videos = Some(array.as_primitive::<UInt64Type>().value(at)),
            DataType::Float64 => values.push((name.to_owned(), array.as_primitive::<Float64Type>().value(at))),
            _ => {}
        }
    }
    Some(Figures { values, num_videos: num_videos? })
}

impl Fixed {
    fn of(row: &TrainingLogRow) -> Self {
        let TrainingLogRow { epoch, num_clips, num_left_out, lr, loss, top1, grad_norm, validation: _ } = *row;
        Self { epoch, num_clips, num_left_out, lr, loss, top1, grad_norm }
    }

    fn with_validation(self, validation: Option<Figures>) -> TrainingLogRow {
        let Self { epoch, num_clips, num_left_out, lr, loss, top1, grad_norm } = self;
        TrainingLogRow { epoch, num_clips, num_left_out, lr, loss, top1, grad_norm, validation }
    }
}

fn columns(path: &Path) -> impl Fn(serde_arrow::Error) -> TableError {
    let path = path.to_owned();
    move |source| TableError::Columns { path: path.clone(), table: TrainingLogRow::NAME, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: u32, values: &[(&str, f64)]) -> TrainingLogRow {
        let values: Vec<_> = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let validation = (!values.is_empty()).then_some(Figures { values, num_videos: 40 });
        TrainingLogRow {
            epoch,
            num_clips: 8,
            num_left_out: 1,
            lr: 0.1,
            loss: 2.5,
            top1: 0.25,
            grad_norm: 3.0,
            validation,
        }
    }

    fn check(rows: &[TrainingLogRow], expect: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.parquet");
        write_training_log(&path, rows).expect("written");
        assert_eq!(read_training_log(&path).expect("read"), rows);
        let batches = read_batches(&path, TrainingLogRow::NAME, TrainingLogRow::VERSION).expect("read");
        let schema = batches[0].schema();
        let names: Vec<&str> = schema.fields().iter().skip(7).map(|field| field.name().as_str()).collect();
        assert_eq!(names, expect);
    }

    #[test]
    fn each_metric_is_a_column() {
        check(&[row(0, &[]), row(1, &[])], &[]);
        let top1 = [("top1", 0.5), ("loss", 1.5)];
        check(&[row(0, &[]), row(1, &top1)], &["val_top1", "val_loss", "val_num_videos"]);
    }
}
