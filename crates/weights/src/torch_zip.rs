//! The format of `torch.save` since PyTorch 1.6: a zip archive of `NAME/data.pkl` and `NAME/data/KEY` for each storage, stored without
//! compression.

use crate::error::FormatError;
use crate::{Checkpoint, pickle, state_dict};
use std::collections::BTreeMap;
use std::io::Cursor;
use zip::{CompressionMethod, ZipArchive};

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

pub(crate) fn read(data: &[u8]) -> Result<Checkpoint, FormatError> {
    let archive_error = |error: zip::result::ZipError| FormatError::part("the archive", error.to_string());
    let mut archive = ZipArchive::new(Cursor::new(data)).map_err(archive_error)?;
    let folder =
        archive.file_names().filter_map(Result::ok).find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
    let folder =
        folder.ok_or_else(|| FormatError::part("the archive", "it has no data.pkl, so torch.save did not write it"))?;
    let byteorder = format!("{folder}byteorder");
    if archive.index_for_name(&byteorder).is_some() && entry(&mut archive, data, &byteorder)? != b"little" {
        return Err(FormatError::part("the archive", "its values are not little-endian"));
    }
    let program = entry(&mut archive, data, &format!("{folder}data.pkl"))?;
    let mut storages = BTreeMap::new();
    state_dict::read(&pickle::run(program)?, data.len(), |key| {
        if let Some(bytes) = storages.get(key) {
            return Ok(*bytes);
        }
        let bytes = entry(&mut archive, data, &format!("{folder}data/{key}"))?;
        storages.insert(key.to_owned(), bytes);
        Ok(bytes)
    })
}

/// Returns the content of an entry after verifying its checksum.
fn entry<'a>(archive: &mut Archive<'a>, data: &'a [u8], name: &str) -> Result<&'a [u8], FormatError> {
    let bad = |message: String| FormatError::part(format!("`{name}`"), message);
    let mut file = archive.by_name(name).map_err(|error| bad(error.to_string()))?;
    if file.compression() != CompressionMethod::Stored || file.encrypted() {
        return Err(bad("it is compressed or encrypted, which torch.save never does".to_owned()));
    }
    // Reading to the end verifies the checksum.
    let len = std::io::copy(&mut file, &mut std::io::sink()).map_err(|error| bad(error.to_string()))?;
    let start = file.data_start().and_then(|start| usize::try_from(start).ok());
    let range = start.and_then(|start| Some(start..start.checked_add(usize::try_from(len).ok()?)?));
    range.and_then(|range| data.get(range)).ok_or_else(|| bad("it is outside the file".to_owned()))
}
