//! Reads zip, by its directory at the end, as all that makes or reads them does.

use super::{Body, Entry, Metered, Visitor};
use crate::FetchError;
use crate::tree::Unpacking;
use pipe_stage::StageError;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zip::ZipArchive;
use zip::result::ZipError;

/// The directory is read into memory: so much for each file that there may be, which leaves room for long names...
const DIRECTORY_BYTES_A_FILE: u64 = 256;
/// ... and so much besides, for the search for it.
const DIRECTORY_BYTES: u64 = 1 << 20;
/// The type of a file in its Unix mode.
const MODE_TYPE: u32 = 0o170_000;
const MODE_FILE: u32 = 0o100_000;
const MODE_FOLDER: u32 = 0o040_000;

/// Calls `visit` for each entry of a zip.
pub(super) fn read(
    unpacking: &Unpacking,
    file: Metered,
    max_files: u64,
    visit: &mut Visitor,
) -> Result<(), StageError> {
    let broken = |error: ZipError| FetchError::Broken { archive: unpacking.archive.clone(), source: error.into() };
    let opened = Arc::new(AtomicBool::new(false));
    let limit = DIRECTORY_BYTES.saturating_add(max_files.saturating_mul(DIRECTORY_BYTES_A_FILE));
    let opening = Opening { file, limit, opened: Arc::clone(&opened) };
    let mut archive = ZipArchive::new(BufReader::new(opening)).map_err(broken)?;
    opened.store(true, Ordering::Relaxed);
    if archive.has_duplicate_names() {
        // The reader keeps the last one of each name: which, it does not tell.
        let source = io::Error::other("it has two entries of one name");
        return Err(FetchError::Broken { archive: unpacking.archive.clone(), source }.into());
    }
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(broken)?;
        let name = file.name().map_err(broken)?.into_owned().into_bytes();
        let body = match file.unix_mode().map_or(0, |mode| mode & MODE_TYPE) {
            _ if file.is_symlink() => Body::Special("a symbolic link"),
            _ if file.is_dir() => Body::Folder,
            0 | MODE_FILE => Body::File,
            MODE_FOLDER => Body::Folder,
            _ => Body::Special("a device, a pipe or the like"),
        };
        visit(Entry { name, body }, &mut file)?;
    }
    Ok(())
}

/// A file of which only so much may be read until the directory is.
struct Opening {
    file: Metered,
    limit: u64,
    opened: Arc<AtomicBool>,
}

impl Read for Opening {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read_bytes = self.file.read_bytes.load(Ordering::Relaxed);
        if read_bytes > self.limit && !self.opened.load(Ordering::Relaxed) {
            return Err(io::Error::other("its directory has more in it than `max_files` allows"));
        }
        self.file.read(buffer)
    }
}

impl Seek for Opening {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
