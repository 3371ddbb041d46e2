//! Reads zip archives by their directory at the end, as other programs do.

use super::CountedFile;
use crate::FetchError;
use crate::entry::{Entry, EntryKind, Visitor};
use crate::tree::Unpacking;
use pipe_stage::StageError;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zip::ZipArchive;
use zip::result::ZipError;

/// Maximum size of the directory, which is read into memory: this much per allowed file, enough for long names ...
const DIRECTORY_BYTES_PER_FILE: u64 = 256;
/// ... plus this much, for finding the directory.
const DIRECTORY_BYTES: u64 = 1 << 20;
/// The bits of a Unix mode that contain the file type.
const MODE_TYPE: u32 = 0o170_000;
const MODE_FILE: u32 = 0o100_000;
const MODE_FOLDER: u32 = 0o040_000;

/// Calls `visit` for each entry of a zip.
pub(super) fn read(
    unpacking: &Unpacking,
    file: CountedFile,
    max_files: u64,
    visit: &mut Visitor,
) -> Result<(), StageError> {
    let broken = |error: ZipError| FetchError::Broken { archive: unpacking.archive.clone(), source: error.into() };
    let opened = Arc::new(AtomicBool::new(false));
    let limit = DIRECTORY_BYTES.saturating_add(max_files.saturating_mul(DIRECTORY_BYTES_PER_FILE));
    let opening = DirectoryLimit { file, limit, opened: Arc::clone(&opened) };
    let mut archive = ZipArchive::new(BufReader::new(opening)).map_err(broken)?;
    opened.store(true, Ordering::Relaxed);
    if archive.has_duplicate_names() {
        // The reader keeps only the last entry of each name.
        let source = io::Error::other("two entries have the same name");
        return Err(FetchError::Broken { archive: unpacking.archive.clone(), source }.into());
    }
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(broken)?;
        let name = file.name().map_err(broken)?.into_owned().into_bytes();
        let kind = match file.unix_mode().map_or(0, |mode| mode & MODE_TYPE) {
            _ if file.is_symlink() => EntryKind::Special("a symbolic link"),
            _ if file.is_dir() => EntryKind::Folder,
            0 | MODE_FILE => EntryKind::File,
            MODE_FOLDER => EntryKind::Folder,
            _ => EntryKind::Special("a device, a pipe or another special file"),
        };
        visit(Entry { name, kind }, &mut file)?;
    }
    Ok(())
}

/// A file that fails if too much is read before the directory is complete.
struct DirectoryLimit {
    file: CountedFile,
    limit: u64,
    opened: Arc<AtomicBool>,
}

impl Read for DirectoryLimit {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read_bytes = self.file.read_bytes.load(Ordering::Relaxed);
        if read_bytes > self.limit && !self.opened.load(Ordering::Relaxed) {
            return Err(io::Error::other("its directory is too large for `max_files`"));
        }
        self.file.read(buffer)
    }
}

impl Seek for DirectoryLimit {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
