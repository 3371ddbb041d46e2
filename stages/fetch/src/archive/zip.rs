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
use zip::read::{ArchiveOffset, Config};
use zip::result::{ZipError, ZipResult};

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
    let mut archive = open(opening).map_err(broken)?;
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

/// Opens an archive that begins where the file begins, or later. Detection of the start comes second: it assumes that the directory ends
/// where the last record begins, and misreads directories that records of ZIP64 follow although the last record has all numbers.
fn open(file: DirectoryLimit) -> ZipResult<ZipArchive<BufReader<DirectoryLimit>>> {
    let again = file.try_clone()?;
    let at_start = Config { archive_offset: ArchiveOffset::Known(0) };
    ZipArchive::with_config(at_start, BufReader::new(file))
        .or_else(|_| ZipArchive::with_config(Config::default(), BufReader::new(again)))
}

/// A file that fails if too much is read before the directory is complete.
struct DirectoryLimit {
    file: CountedFile,
    limit: u64,
    opened: Arc<AtomicBool>,
}

impl DirectoryLimit {
    /// Returns a second reader of the same file, which shares the count of bytes and the position.
    fn try_clone(&self) -> io::Result<Self> {
        let CountedFile { file, read_bytes } = &self.file;
        let file = CountedFile { file: file.try_clone()?, read_bytes: Arc::clone(read_bytes) };
        Ok(Self { file, limit: self.limit, opened: Arc::clone(&self.opened) })
    }
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

#[cfg(test)]
mod tests {
    use crate::archive::tests::{check, plain};
    use std::io::{Cursor, Write};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    /// Returns a zip whose directory begins with an entry of `46 + len` bytes.
    fn zip_of(len: usize) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["a".repeat(len), "b".to_owned()] {
            zip.start_file(name, SimpleFileOptions::default()).expect("started");
            zip.write_all(b"content").expect("written");
        }
        zip.finish().expect("finished").into_inner()
    }

    /// Some programs, such as PyTorch, write records of ZIP64 after every directory, 76 bytes that a reader may not need.
    #[test]
    fn bytes_between_the_directory_and_its_end_are_no_entries() {
        for len in [29, 30, 31] {
            let mut zip = zip_of(len);
            let end = zip.len() - 22;
            zip.splice(end..end, [&b"PK\x06\x06"[..], &[0; 72]].concat());
            check(&zip, plain(), &[(&"a".repeat(len), b"content"), ("b", b"content")]);
        }
    }

    /// An archive may follow other data, which its offsets do not count.
    #[test]
    fn an_archive_may_begin_later_than_its_file() {
        let zip = [&b"PK\x03\x04 not an entry"[..], &zip_of(5)].concat();
        check(&zip, plain(), &[("aaaaa", b"content"), ("b", b"content")]);
    }
}
