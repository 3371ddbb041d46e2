//! [`Unpacker`]: unpacks archives into an [`OutputTree`], entry by entry.
//!
//! The format is detected from the first bytes. Each format has a module with a function that calls a [`Visitor`](crate::entry::Visitor) for every entry, in
//! order. The tree alone decides what may be unpacked, so the rules are the same for all formats.

use crate::FetchError;
use crate::entry::Entry;
use crate::tree::{Destination, OutputTree, Unpacking};
use fs_err as fs;
use pipe_schemas::stages::fetch::FetchParams;
use pipe_stage::{Context, StageError};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

mod rar;
#[cfg(test)]
mod rar_tests;
mod tar;
mod zip;

/// Number of bytes that identify a format: the first header of a tar.
const START_BYTES: usize = 512;

/// A supported format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Zip,
    Rar,
    Tar(Compression),
}

/// The compression of a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Format {
    /// Returns the format of a file that starts with `start`. Compressed files are assumed to contain a tar; the reader checks it.
    fn of(start: &[u8]) -> Option<Self> {
        let starts: [(&[u8], Self); 8] = [
            (b"PK\x03\x04", Self::Zip),
            (b"PK\x05\x06", Self::Zip),
            (b"Rar!\x1a\x07\x00", Self::Rar),
            (b"Rar!\x1a\x07\x01\x00", Self::Rar),
            (b"\x1f\x8b\x08", Self::Tar(Compression::Gzip)),
            (b"BZh", Self::Tar(Compression::Bzip2)),
            (b"\xfd7zXZ\x00", Self::Tar(Compression::Xz)),
            (b"\x28\xb5\x2f\xfd", Self::Tar(Compression::Zstd)),
        ];
        let known = starts.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, format)| *format);
        known.or_else(|| tar::is_header(start).then_some(Self::Tar(Compression::None)))
    }
}

/// Unpacks archives into the output folder.
pub(crate) struct Unpacker<'a, 't> {
    context: &'a Context,
    params: &'a FetchParams,
    tree: &'t mut OutputTree<'a>,
    /// Number of nested archives so far.
    num_nested: u64,
}

/// A nested archive, extracted to be unpacked itself.
struct NestedArchive {
    unpacking: Unpacking,
    path: PathBuf,
}

impl<'a, 't> Unpacker<'a, 't> {
    pub(crate) fn new(context: &'a Context, params: &'a FetchParams, tree: &'t mut OutputTree<'a>) -> Self {
        Self { context, params, tree, num_nested: 0 }
    }

    /// Unpacks the archive at `path` into the folder `into`, and also nested archives if the parameters say so.
    pub(crate) fn unpack(&mut self, archive: &str, path: &Path, into: &str) -> Result<(), StageError> {
        let unpacking = Unpacking { archive: archive.to_owned(), into: into.to_owned(), nested: false };
        for nested in self.read(&unpacking, path)? {
            self.read(&nested.unpacking, &nested.path)?;
            fs::remove_file(&nested.path)?;
        }
        Ok(())
    }

    fn read(&mut self, unpacking: &Unpacking, path: &Path) -> Result<Vec<NestedArchive>, StageError> {
        let archive = || unpacking.archive.clone();
        let mut start = Vec::with_capacity(START_BYTES);
        fs::File::open(path)?.take(START_BYTES as u64).read_to_end(&mut start)?;
        let format =
            Format::of(&start).ok_or_else(|| FetchError::NoArchive { archive: archive() }.into_stage_error())?;
        let file = CountedFile::open(path)?;
        let (position, size_bytes) = (Arc::clone(&file.read_bytes), fs::metadata(path)?.len());
        let (context, params, mut nested, mut num_entries) = (self.context, self.params, Vec::new(), 0_u64);
        let mut visit = |entry: Entry, content: &mut dyn Read| -> Result<(), StageError> {
            num_entries += 1;
            let megabytes = |bytes: u64| bytes / 1_000_000;
            let (done, total) = (megabytes(position.load(Ordering::Relaxed)), megabytes(size_bytes));
            context.progress(done.min(total), total + 1, "MB unpacked");
            match self.tree.entry(unpacking, &entry)? {
                Destination::None => Ok(()),
                Destination::File(path) => {
                    nested.extend(self.file(unpacking, &entry, &path, content)?);
                    Ok(())
                }
            }
        };
        // Headers do not count as content, but a stream of headers must end as well.
        let max_stream_bytes =
            params.max_bytes.saturating_add(params.max_files.saturating_mul(4096)).saturating_add(1 << 20);
        match format {
            Format::Zip => zip::read(unpacking, file, params.max_files, &mut visit),
            Format::Rar => rar::read(unpacking, path, max_stream_bytes, &mut visit),
            Format::Tar(compression) => {
                tar::read_compressed(unpacking, file, compression, max_stream_bytes, &mut visit)
            }
        }?;
        if num_entries == 0 {
            return Err(FetchError::Empty { archive: archive() }.into());
        }
        Ok(nested)
    }

    /// Writes a file to its destination, or extracts it to the scratch folder if it is a nested archive to unpack.
    fn file(
        &mut self,
        unpacking: &Unpacking,
        entry: &Entry,
        path: &str,
        content: &mut dyn Read,
    ) -> Result<Option<NestedArchive>, StageError> {
        if !self.params.nested || unpacking.nested {
            self.tree.write(unpacking, &entry.name, path, content)?;
            return Ok(None);
        }
        let mut start = Vec::with_capacity(START_BYTES);
        let read = content.take(START_BYTES as u64).read_to_end(&mut start);
        read.map_err(|source| FetchError::Broken { archive: unpacking.archive.clone(), source })?;
        let is_archive = Format::of(&start).is_some();
        let mut content = Cursor::new(start).chain(content);
        if !is_archive {
            self.tree.write(unpacking, &entry.name, path, &mut content)?;
            return Ok(None);
        }
        let extracted = self.context.scratch().join(format!("nested-{}", self.num_nested));
        self.num_nested += 1;
        fs::create_dir_all(self.context.scratch())?;
        self.tree.copy(unpacking, &entry.name, &extracted, &mut content)?;
        let archive = format!("{} in {}", String::from_utf8_lossy(&entry.name), unpacking.archive);
        let into = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        Ok(Some(NestedArchive { unpacking: Unpacking { archive, into, nested: true }, path: extracted }))
    }
}

/// A file that counts the bytes read.
struct CountedFile {
    file: fs::File,
    read_bytes: Arc<AtomicU64>,
}

impl CountedFile {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: fs::File::open(path)?, read_bytes: Arc::default() })
    }
}

impl Read for CountedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for CountedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Fails after a maximum number of bytes. [`Read::take`] would end there without an error.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it exceeds `max_bytes` and `max_files`"))?;
        Ok(count)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::tar::testing::{TarEntry, tar_of};
    use super::*;
    use crate::testing::{file, run, tree};
    use pipe_testkit::Ran;
    use std::io::Write;

    /// A folder, a video in the folder of its class, and a list.
    const GOOD: &[TarEntry] = &[
        TarEntry::Folder("data/"),
        TarEntry::File("data/Biking/v_Biking_g01_c01.avi", b"a video"),
        TarEntry::File("data/a list (1);#.txt", b"1 Biking\n"),
    ];

    /// Runs the stage on an archive.
    fn unpack(folder: &Path, archive: &[u8], params: FetchParams) -> Ran {
        let path = folder.join("archive");
        fs::write(&path, archive).expect("written");
        let files = vec![file(format!("file://{}", path.display()), archive)];
        run(folder, &FetchParams { files, ..params })
    }

    pub(super) fn check(archive: &[u8], params: FetchParams, expect: &[(&str, &[u8])]) {
        let folder = tempfile::tempdir().expect("a folder");
        unpack(folder.path(), archive, params).lines();
        let found = tree(&folder.path().join("files"));
        let found: Vec<(&str, &[u8])> = found.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        assert_eq!(found, expect);
    }

    pub(super) fn refused(archive: &[u8], params: FetchParams, why: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let error = unpack(folder.path(), archive, params).error();
        assert!(error.contains(why), "{error}\nexpected: {why}");
        let above = tree(folder.path());
        assert!(
            above.iter().all(|(path, _)| ["files/", "scratch/", "downloads/", "archive"]
                .iter()
                .any(|start| path.starts_with(start))),
            "{above:?}"
        );
    }

    pub(super) fn plain() -> FetchParams {
        FetchParams::default()
    }

    fn zip_of(made: &[TarEntry]) -> Vec<u8> {
        let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = ::zip::write::SimpleFileOptions::default();
        for entry in made {
            match entry {
                TarEntry::Folder(name) => writer.add_directory(*name, options).expect("added"),
                TarEntry::File(name, content) => {
                    writer.start_file(*name, options).expect("started");
                    writer.write_all(content).expect("written");
                }
                TarEntry::Link(name, target) => writer.add_symlink(*name, *target, options).expect("added"),
                raw @ TarEntry::Raw(..) => panic!("{raw:?} is for tars"),
            }
        }
        writer.finish().expect("finished").into_inner()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("finished")
    }

    /// Returns a tar, plain and with each compression, and a zip.
    fn in_all_formats(made: &[TarEntry]) -> Vec<(&'static str, Vec<u8>)> {
        let tar = tar_of(made);
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&tar).expect("written");
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).expect("an encoder");
        xz.write_all(&tar).expect("written");
        let (bzip2, xz) = (bzip2.finish().expect("finished"), xz.finish().expect("finished"));
        let zstd = ::zstd::encode_all(tar.as_slice(), 1).expect("encoded");
        vec![("gz", gzip(&tar)), ("bz2", bzip2), ("xz", xz), ("zst", zstd), ("zip", zip_of(made)), ("tar", tar)]
    }

    #[test]
    fn every_format_unpacks_to_the_same_files() {
        let expect: &[(&str, &[u8])] =
            &[("data/Biking/v_Biking_g01_c01.avi", b"a video"), ("data/a list (1);#.txt", b"1 Biking\n")];
        let below: &[(&str, &[u8])] =
            &[("ucf/Biking/v_Biking_g01_c01.avi", b"a video"), ("ucf/a list (1);#.txt", b"1 Biking\n")];
        for (_, archive) in in_all_formats(GOOD) {
            check(&archive, plain(), expect);
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("archive");
            fs::write(&path, &archive).expect("written");
            let mut into = file(format!("file://{}", path.display()), &archive);
            into.path = Some("ucf/".into());
            let ran = run(folder.path(), &FetchParams { files: vec![into], strip_folders: 1, ..plain() });
            assert_eq!(ran.lines(), ["1 file downloaded, 1 MB; 2 files unpacked, 1 MB"]);
            let found = tree(&folder.path().join("files"));
            assert!(
                found.iter().zip(below).all(|((path, bytes), expect)| (path.as_str(), bytes.as_slice()) == *expect)
            );
        }
    }

    #[test]
    fn a_run_after_a_failure_does_not_download_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (archive, source) = (tar_of(GOOD), folder.path().join("archive"));
        unpack(folder.path(), &archive, FetchParams { max_files: 1, ..plain() }).error();
        fs::remove_file(&source).expect("removed");
        let files = vec![file(format!("file://{}", source.display()), &archive)];
        run(folder.path(), &FetchParams { files, ..plain() }).lines();
    }

    #[test]
    fn nested_archives_are_unpacked_on_request() {
        let inner = tar_of(&[TarEntry::File("wave/a.avi", b"a")]);
        let other = zip_of(&[TarEntry::File("golf/b.avi", b"b")]);
        let made = [
            TarEntry::File("hmdb/wave.rar", &inner),
            TarEntry::File("hmdb/x/golf.zip", &other),
            TarEntry::File("hmdb/r.txt", b"r"),
        ];
        let nested = FetchParams { nested: true, strip_folders: 1, ..plain() };
        for (_, archive) in in_all_formats(&made) {
            check(&archive, nested.clone(), &[("r.txt", b"r"), ("wave/a.avi", b"a"), ("x/golf/b.avi", b"b")]);
            check(&archive, plain(), &[("hmdb/r.txt", b"r"), ("hmdb/wave.rar", &inner), ("hmdb/x/golf.zip", &other)]);
        }
        let twice = tar_of(&[TarEntry::File("deeper.zip", &zip_of(&[TarEntry::File("inner.zip", &other)]))]);
        check(&twice, FetchParams { nested: true, ..plain() }, &[("inner.zip", &other)]);
        let evil = zip_of(&[TarEntry::File("ok.tar", &tar_of(&[TarEntry::File("../evil", b"x")]))]);
        refused(
            &evil,
            FetchParams { nested: true, ..plain() },
            "entry \"../evil\" has a path that leads out of the folder",
        );
    }

    #[test]
    fn hostile_entries_are_refused_in_every_format() {
        let long = format!("a/{}", "x".repeat(256));
        let cases: &[(&[TarEntry], &str)] = &[
            (&[TarEntry::File("../evil", b"x")], "entry \"../evil\" has a path that leads out of the folder"),
            (&[TarEntry::File("a/../../evil", b"x")], "leads out of the folder"),
            (&[TarEntry::File("/etc/evil", b"x")], "is absolute"),
            (&[TarEntry::Folder("../out/")], "leads out of the folder"),
            (&[TarEntry::File("a\\..\\evil", b"x")], "contains a backslash"),
            (&[TarEntry::File("a/\u{7}", b"x")], "contains a control character"),
            (&[TarEntry::File(&long, b"x")], "is too long"),
            (&[TarEntry::File("A/b", b"x"), TarEntry::File("a/c", b"x")], "\"a/c\" differs from \"A\" only in case"),
            (&[TarEntry::File("É.avi", b"x"), TarEntry::File("é.avi", b"x")], "differs from \"É.avi\" only in case"),
            (&[TarEntry::File("a", b"x"), TarEntry::File("a/b", b"x")], "\"a/b\" is both a file and a folder"),
            (&[TarEntry::File("a/b", b"x"), TarEntry::File("a", b"x")], "\"a\" is both a file and a folder"),
            (&[TarEntry::Link("a", "/etc"), TarEntry::File("a/passwd", b"x")], "\"a\" is a symbolic link"),
        ];
        for (made, why) in cases {
            for (format, archive) in in_all_formats(made) {
                // The crate that writes zips repairs some names; the others are enough.
                let repaired = format == "zip" && !String::from_utf8_lossy(&archive).contains(made[0].name());
                if !repaired {
                    refused(&archive, plain(), why);
                }
            }
        }
        for (_, archive) in in_all_formats(GOOD) {
            refused(
                &archive,
                FetchParams { strip_folders: 2, ..plain() },
                "is not inside 2 folders, which `strip_folders` would remove",
            );
            refused(&archive, FetchParams { max_files: 2, ..plain() }, "exceeds `max_files`, which is 2");
        }
        refused(b"just a text", plain(), "is not a zip, tar or rar archive");
        refused(&gzip(&[b'x'; 1000]), plain(), "the content of");
    }

    #[test]
    fn decompression_bombs_are_stopped_at_the_limit() {
        let zeros = vec![0; 3_000_000];
        let small = FetchParams { max_bytes: 1_000_000, max_files: 10, ..plain() };
        for (format, archive) in in_all_formats(&[TarEntry::File("zeros", &zeros)]) {
            if format != "tar" {
                assert!(archive.len() < 100_000, "{format}");
                refused(&archive, small.clone(), "entry \"zeros\" exceeds `max_bytes`, which is 1,000,000");
            }
        }
        let tail = gzip(&[tar_of(GOOD), zeros].concat());
        refused(&tail, small, "it exceeds `max_bytes` and `max_files`");
        // The directory of a zip is read into memory.
        let names: Vec<String> = (0..30_000).map(|number| format!("a-name-that-is-not-so-short/{number}")).collect();
        let many = zip_of(&names.iter().map(|name| TarEntry::File(name, b"")).collect::<Vec<_>>());
        let few = FetchParams { max_files: 10, ..plain() };
        refused(&many, few, "its directory is too large for `max_files`");
    }

    #[test]
    fn truncated_or_damaged_archives_are_errors() {
        for (format, archive) in in_all_formats(GOOD) {
            for cut in [archive.len() / 3, archive.len() / 2, archive.len() - 600.min(archive.len() / 4)] {
                let folder = tempfile::tempdir().expect("a folder");
                let ran = unpack(folder.path(), &archive[..cut], plain());
                assert!(ran.result.is_err() || format == "tar", "{format} of {cut} bytes");
            }
            // A flipped byte never causes a panic or an endless loop; formats with checksums detect wrong content.
            for at in (0..archive.len()).step_by(if format == "tar" { 41 } else { 7 }) {
                let mut altered = archive.clone();
                altered[at] ^= 0x41;
                let folder = tempfile::tempdir().expect("a folder");
                if unpack(folder.path(), &altered, plain()).result.is_ok() && ["gz", "bz2", "xz"].contains(&format) {
                    assert_eq!(tree(&folder.path().join("files")).len(), 2, "{format} altered at {at}");
                }
            }
        }
        let mut twice = zip_of(&[TarEntry::File("name-1", b"1"), TarEntry::File("name-2", b"2")]);
        let places: Vec<usize> = (0..twice.len() - 6).filter(|&at| &twice[at..at + 6] == b"name-2").collect();
        for at in places {
            twice[at + 5] = b'1';
        }
        refused(&twice, plain(), "two entries have the same name");
        let folder = tempfile::tempdir().expect("a folder");
        assert!(unpack(folder.path(), &tar_of(&[]), plain()).error().contains("is not a zip, tar or rar archive"));
        assert!(unpack(folder.path(), &zip_of(&[]), plain()).error().contains("contains no files"));
    }
}
