//! [`ShardFile`]: the buffered file of a shard; [`naming`] adds paths to errors. Large writes take the kernel less time than one write per page.

use crate::TableError;
use fs_err::File;
use parquet::arrow::arrow_writer::ArrowWriter;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Size of a write. A larger one is not faster.
const WRITE_BYTES: usize = 1 << 20;

pub(crate) type ShardFile = BufWriter<File>;

pub(crate) fn create(path: &Path) -> std::io::Result<ShardFile> {
    Ok(BufWriter::with_capacity(WRITE_BYTES, File::create(path)?))
}

/// Returns a function that adds a path to an error of the system, for calls whose errors do not name it.
pub(crate) fn naming<'a>(what: &'a str, path: &'a Path) -> impl Fn(std::io::Error) -> std::io::Error + 'a {
    move |error| std::io::Error::new(error.kind(), format!("failed to {what} `{}`: {error}", path.display()))
}

/// Writes the footer and the rest of the buffer, which completes the file.
pub(crate) fn finish(writer: ArrowWriter<ShardFile>, path: &Path) -> Result<(), TableError> {
    let file = writer.into_inner().map_err(|source| TableError::Parquet { path: path.into(), source });
    Ok(file?.flush()?)
}
