//! [`ShardFile`]: the file that a shard is written to, a large piece at a time. Page by page, the kernel would take longer.

use crate::TableError;
use fs_err::File;
use parquet::arrow::arrow_writer::ArrowWriter;
use std::io::{BufWriter, Write};
use std::path::Path;

/// What is written at once. More is no faster.
const PIECE_BYTES: usize = 1 << 20;

pub(crate) type ShardFile = BufWriter<File>;

pub(crate) fn create(path: &Path) -> std::io::Result<ShardFile> {
    Ok(BufWriter::with_capacity(PIECE_BYTES, File::create(path)?))
}

/// Writes the footer and what is left. Without it the file is no Parquet file.
pub(crate) fn finish(writer: ArrowWriter<ShardFile>, path: &Path) -> Result<(), TableError> {
    let file = writer.into_inner().map_err(|source| TableError::Parquet { path: path.into(), source });
    Ok(file?.flush()?)
}
