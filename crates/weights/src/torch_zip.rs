//! The format of `torch.save` since PyTorch 1.6: a zip archive of `NAME/data.pkl` and `NAME/data/KEY` for each storage, stored without
//! compression.

use crate::error::FormatError;
use crate::{Checkpoint, pickle, state_dict};
use std::collections::BTreeMap;
use std::io::Cursor;
use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

pub(crate) fn read(data: &[u8]) -> Result<Checkpoint, FormatError> {
    let archive_error = |error: zip::result::ZipError| FormatError::part("the archive", error.to_string());
    // The data begins with the first entry (see `Format::of`). Detection assumes that the directory ends where the last record begins, but
    // PyTorch always writes records of ZIP64 (76 bytes) between them, so a first entry of 76 bytes in the directory would be skipped.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, Cursor::new(data)).map_err(archive_error)?;
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

#[cfg(test)]
mod tests {
    use crate::test_data::{tensors, zip_file_in};

    /// Inserts the records of ZIP64 that PyTorch always writes after the directory, 76 bytes.
    fn with_zip64_records(mut zip: Vec<u8>) -> Vec<u8> {
        let end = zip.len() - 22;
        let last = zip.split_off(end);
        assert!(last.starts_with(b"PK\x05\x06"), "an archive without a comment");
        let number = |at: usize| u64::from(u32::from_le_bytes(last[at..at + 4].try_into().expect("four bytes")));
        let count = u64::from(u16::from_le_bytes(last[10..12].try_into().expect("two bytes")));
        let position = zip.len() as u64;
        zip.extend(b"PK\x06\x06");
        zip.extend(44_u64.to_le_bytes());
        zip.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for number in [count, count, number(12), number(16)] {
            zip.extend(number.to_le_bytes());
        }
        zip.extend(b"PK\x06\x07\0\0\0\0");
        zip.extend(position.to_le_bytes());
        zip.extend(1_u32.to_le_bytes());
        assert_eq!(zip.len(), end + 76, "the length of both records");
        [zip, last].concat()
    }

    /// The first entry of the directory is 46 bytes and the name: 76 bytes, if `data.pkl` is below a folder of 21 bytes.
    #[test]
    fn the_name_of_an_archive_has_any_length() {
        for len in 1..=80 {
            let zip = zip_file_in(&"e".repeat(len), &tensors(&["a", "b"]));
            for zip in [with_zip64_records(zip.clone()), zip] {
                let read = super::read(&zip).unwrap_or_else(|error| panic!("a name of {len} bytes: {error}"));
                assert_eq!(read.tensors.len(), 2, "a name of {len} bytes");
            }
        }
    }
}
