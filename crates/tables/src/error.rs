//! [`TableError`]: why an artifact can't be read or written.

use std::path::PathBuf;

/// Why an artifact can't be read or written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum TableError {
    /// The file can't be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not in Parquet format, or it is damaged.
    #[error("{} is not a readable Parquet file", path.display())]
    Parquet { path: PathBuf, source: parquet::errors::ParquetError },
    /// The columns are not those of the row type.
    #[error("the columns of {} do not match the table `{table}`", path.display())]
    Columns {
        path: PathBuf,
        /// Name of the expected table.
        table: &'static str,
        /// Error of the conversion between columns and rows.
        source: Box<serde_arrow::Error>,
    },
    /// The file holds another table, or another version of it.
    #[error("{} holds {found}, not `{table}` version {version}", path.display())]
    OtherTable {
        path: PathBuf,
        /// Name of the expected table.
        table: &'static str,
        version: u32,
        found: String,
    },
    /// A value in the table is not valid, or the file does not hold what another table refers to.
    #[error("{}: {message}", path.display())]
    Content {
        path: PathBuf,
        /// What is wrong, as a lower-case fragment.
        message: String,
    },
    /// The JSON file does not hold the expected value.
    #[error("{} is not valid", path.display())]
    Json {
        path: PathBuf,
        /// Where the file differs from what was expected, and how.
        source: serde_json::Error,
    },
}
