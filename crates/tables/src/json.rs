//! [`read_json`] and [`write_json`]: small values, as indented JSON that ends with a line feed.

use crate::TableError;
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;

/// Reads a JSON file.
///
/// # Errors
/// [`TableError::Json`] if the file does not hold a `T`.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TableError> {
    let bytes = fs_err::read(path)?;
    serde_json::from_slice(&bytes).map_err(|source| TableError::Json { path: path.into(), source })
}

/// Writes a JSON file. Equal values give equal bytes.
///
/// # Errors
/// [`TableError::Json`] if `value` has no representation as JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TableError> {
    let text = serde_json::to_vec_pretty(value);
    let mut text = text.map_err(|source| TableError::Json { path: path.into(), source })?;
    text.push(b'\n');
    Ok(fs_err::write(path, text)?)
}
