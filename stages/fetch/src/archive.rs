//! [`Unpacker`]: unpacks archives into a [`Tree`], entry by entry.
//!
//! What an archive is, its first bytes say. Each format has a module with a function that calls a [`Visitor`] for every
//! entry, in order; all rules of what may be unpacked are those of the tree, so that no format has looser ones.

use crate::FetchError;
use crate::tree::{Place, Tree, Unpacking};
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

/// So much of a file says what it is: a tar's first header.
const START_BYTES: usize = 512;

/// What an archive says of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) body: Body,
}

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    File,
    Folder,
    /// A link, a device and the like, in words.
    Special(&'static str),
    /// What we do not read, in words that follow the name.
    Unsupported(&'static str),
}

/// Is called with each entry and its content.
type Visitor<'v> = dyn FnMut(Entry, &mut dyn Read) -> Result<(), StageError> + 'v;

/// A format that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Zip,
    Rar,
    Tar(Compression),
}

/// How a tar is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Format {
    /// Returns the format of a file that starts with `start`. Of what is compressed, it is yet to be seen that it is a tar.
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

/// Unpacks archives into a tree.
pub(crate) struct Unpacker<'a, 't> {
    context: &'a Context,
    params: &'a FetchParams,
    tree: &'t mut Tree<'a>,
    /// How many archives of archives there were.
    num_inner: u64,
}

/// An archive that lies in an archive, taken out to be unpacked itself.
struct Inner {
    unpacking: Unpacking,
    path: PathBuf,
}

impl<'a, 't> Unpacker<'a, 't> {
    pub(crate) fn new(context: &'a Context, params: &'a FetchParams, tree: &'t mut Tree<'a>) -> Self {
        Self { context, params, tree, num_inner: 0 }
    }

    /// Unpacks the archive at `path` into the folder `into`, and the archives in it where that is asked for.
    pub(crate) fn unpack(&mut self, archive: &str, path: &Path, into: &str) -> Result<(), StageError> {
        let unpacking = Unpacking { archive: archive.to_owned(), into: into.to_owned(), nested: false };
        for inner in self.read(&unpacking, path)? {
            self.read(&inner.unpacking, &inner.path)?;
            fs::remove_file(&inner.path)?;
        }
        Ok(())
    }

    fn read(&mut self, unpacking: &Unpacking, path: &Path) -> Result<Vec<Inner>, StageError> {
        let archive = || unpacking.archive.clone();
        let mut start = Vec::with_capacity(START_BYTES);
        fs::File::open(path)?.take(START_BYTES as u64).read_to_end(&mut start)?;
        let format = Format::of(&start).ok_or_else(|| FetchError::NoArchive { archive: archive() }.told())?;
        let file = Metered::open(path)?;
        let (position, size_bytes) = (Arc::clone(&file.read_bytes), fs::metadata(path)?.len());
        let (context, params, mut inner, mut num_entries) = (self.context, self.params, Vec::new(), 0_u64);
        let mut visit = |entry: Entry, content: &mut dyn Read| -> Result<(), StageError> {
            num_entries += 1;
            let megabytes = |bytes: u64| bytes / 1_000_000;
            let (done, total) = (megabytes(position.load(Ordering::Relaxed)), megabytes(size_bytes));
            context.progress(done.min(total), total + 1, "MB unpacked");
            match self.tree.entry(unpacking, &entry)? {
                Place::Nowhere => Ok(()),
                Place::File(path) => {
                    inner.extend(self.file(unpacking, &entry, &path, content)?);
                    Ok(())
                }
            }
        };
        // A stream of headers is no content, but must have an end as well.
        let most_bytes = params.max_bytes.saturating_add(params.max_files.saturating_mul(4096)).saturating_add(1 << 20);
        match format {
            Format::Zip => zip::read(unpacking, file, params.max_files, &mut visit),
            Format::Rar => rar::read(unpacking, path, most_bytes, &mut visit),
            Format::Tar(compression) => tar::read_compressed(unpacking, file, compression, most_bytes, &mut visit),
        }?;
        if num_entries == 0 {
            return Err(FetchError::Empty { archive: archive() }.into());
        }
        Ok(inner)
    }

    /// Writes a file to its place, or sets it aside if it is an archive to be unpacked itself.
    fn file(
        &mut self,
        unpacking: &Unpacking,
        entry: &Entry,
        path: &str,
        content: &mut dyn Read,
    ) -> Result<Option<Inner>, StageError> {
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
        let aside = self.context.scratch().join(format!("inner-{}", self.num_inner));
        self.num_inner += 1;
        fs::create_dir_all(self.context.scratch())?;
        self.tree.copy(unpacking, &entry.name, &aside, &mut content)?;
        let archive = format!("{} in {}", String::from_utf8_lossy(&entry.name), unpacking.archive);
        let into = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        Ok(Some(Inner { unpacking: Unpacking { archive, into, nested: true }, path: aside }))
    }
}

/// A file that tells how much of it was read.
struct Metered {
    file: fs::File,
    read_bytes: Arc<AtomicU64>,
}

impl Metered {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: fs::File::open(path)?, read_bytes: Arc::default() })
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Metered {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Fails behind so many bytes, other than [`Read::take`], which ends there as if all was well.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("there is more in it than `max_bytes` and `max_files` allow"))?;
        Ok(count)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::tar::testing::{Made, tar_of};
    use super::*;
    use crate::testing::{file, run, tree};
    use pipe_testkit::Ran;
    use std::io::Write;

    /// A video in a folder of a class, a list, and an empty folder, as in `UCF-101/`.
    const GOOD: &[Made] = &[
        Made::Folder("data/"),
        Made::File("data/Biking/v_Biking_g01_c01.avi", b"a video"),
        Made::File("data/a list (1);#.txt", b"1 Biking\n"),
    ];

    /// Unpacks bytes as an archive.
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
        let told = unpack(folder.path(), archive, params).error();
        assert!(told.contains(why), "{told}\nexpected: {why}");
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

    fn zip_of(made: &[Made]) -> Vec<u8> {
        let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = ::zip::write::SimpleFileOptions::default();
        for entry in made {
            match entry {
                Made::Folder(name) => writer.add_directory(*name, options).expect("added"),
                Made::File(name, content) => {
                    writer.start_file(*name, options).expect("started");
                    writer.write_all(content).expect("written");
                }
                Made::Link(name, target) => writer.add_symlink(*name, *target, options).expect("added"),
                raw @ Made::Raw(..) => panic!("{raw:?} is for tars"),
            }
        }
        writer.finish().expect("finished").into_inner()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("finished")
    }

    /// Returns a tar by itself and in every compression, and a zip.
    fn in_all_formats(made: &[Made]) -> Vec<(&'static str, Vec<u8>)> {
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
            assert_eq!(ran.lines(), ["1 downloads, 1 MB; 2 files unpacked, 1 MB"]);
            let found = tree(&folder.path().join("files"));
            assert!(
                found.iter().zip(below).all(|((path, bytes), expect)| (path.as_str(), bytes.as_slice()) == *expect)
            );
        }
    }

    #[test]
    fn a_second_try_does_not_download_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (archive, source) = (tar_of(GOOD), folder.path().join("archive"));
        unpack(folder.path(), &archive, FetchParams { max_files: 1, ..plain() }).error();
        fs::remove_file(&source).expect("removed");
        let files = vec![file(format!("file://{}", source.display()), &archive)];
        run(folder.path(), &FetchParams { files, ..plain() }).lines();
    }

    #[test]
    fn archives_in_archives_are_unpacked_where_that_is_asked_for() {
        let inner = tar_of(&[Made::File("wave/a.avi", b"a")]);
        let other = zip_of(&[Made::File("golf/b.avi", b"b")]);
        let made = [
            Made::File("hmdb/wave.rar", &inner),
            Made::File("hmdb/x/golf.zip", &other),
            Made::File("hmdb/r.txt", b"r"),
        ];
        let nested = FetchParams { nested: true, strip_folders: 1, ..plain() };
        for (_, archive) in in_all_formats(&made) {
            check(&archive, nested.clone(), &[("r.txt", b"r"), ("wave/a.avi", b"a"), ("x/golf/b.avi", b"b")]);
            check(&archive, plain(), &[("hmdb/r.txt", b"r"), ("hmdb/wave.rar", &inner), ("hmdb/x/golf.zip", &other)]);
        }
        let twice = tar_of(&[Made::File("deeper.zip", &zip_of(&[Made::File("inner.zip", &other)]))]);
        check(&twice, FetchParams { nested: true, ..plain() }, &[("inner.zip", &other)]);
        let evil = zip_of(&[Made::File("ok.tar", &tar_of(&[Made::File("../evil", b"x")]))]);
        refused(
            &evil,
            FetchParams { nested: true, ..plain() },
            "its entry \"../evil\" has a path that leads out of the folder",
        );
    }

    #[test]
    fn hostile_entries_are_refused_by_name_in_every_format() {
        let long = format!("a/{}", "x".repeat(256));
        let cases: &[(&[Made], &str)] = &[
            (&[Made::File("../evil", b"x")], "its entry \"../evil\" has a path that leads out of the folder"),
            (&[Made::File("a/../../evil", b"x")], "leads out of the folder"),
            (&[Made::File("/etc/evil", b"x")], "is absolute"),
            (&[Made::Folder("../out/")], "leads out of the folder"),
            (&[Made::File("a\\..\\evil", b"x")], "has a backslash in it"),
            (&[Made::File("a/\u{7}", b"x")], "has a control character in it"),
            (&[Made::File(&long, b"x")], "is too long"),
            (&[Made::File("A/b", b"x"), Made::File("a/c", b"x")], "\"a/c\" differs from \"A\" in case only"),
            (&[Made::File("É.avi", b"x"), Made::File("é.avi", b"x")], "differs from \"É.avi\" in case only"),
            (&[Made::File("a", b"x"), Made::File("a/b", b"x")], "\"a/b\" is a file and a folder"),
            (&[Made::File("a/b", b"x"), Made::File("a", b"x")], "\"a\" is a file and a folder"),
            (&[Made::Link("a", "/etc"), Made::File("a/passwd", b"x")], "\"a\" is a symbolic link"),
        ];
        for (made, why) in cases {
            for (format, archive) in in_all_formats(made) {
                // The crate that makes zips repairs some names; those that it leaves alone are enough.
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
                "does not lie in the 2 folders that `strip_folders` drops",
            );
            refused(&archive, FetchParams { max_files: 2, ..plain() }, "goes beyond the 2 files and folders");
        }
        refused(b"just a text", plain(), "is no zip, tar or rar");
        refused(&gzip(&[b'x'; 1000]), plain(), "what is compressed in");
    }

    #[test]
    fn bombs_end_at_the_limit() {
        let zeros = vec![0; 3_000_000];
        let small = FetchParams { max_bytes: 1_000_000, max_files: 10, ..plain() };
        for (format, archive) in in_all_formats(&[Made::File("zeros", &zeros)]) {
            if format != "tar" {
                assert!(archive.len() < 100_000, "{format}");
                refused(
                    &archive,
                    small.clone(),
                    "its entry \"zeros\" goes beyond the 1000000 bytes that `max_bytes` allows",
                );
            }
        }
        let tail = gzip(&[tar_of(GOOD), zeros].concat());
        refused(&tail, small, "there is more in it than `max_bytes` and `max_files` allow");
        // The directory of a zip is read into memory.
        let names: Vec<String> = (0..30_000).map(|number| format!("a-name-that-is-not-so-short/{number}")).collect();
        let many = zip_of(&names.iter().map(|name| Made::File(name, b"")).collect::<Vec<_>>());
        let few = FetchParams { max_files: 10, ..plain() };
        refused(&many, few, "its directory has more in it than `max_files` allows");
    }

    #[test]
    fn what_is_cut_or_altered_is_no_result() {
        for (format, archive) in in_all_formats(GOOD) {
            for cut in [archive.len() / 3, archive.len() / 2, archive.len() - 600.min(archive.len() / 4)] {
                let folder = tempfile::tempdir().expect("a folder");
                let ran = unpack(folder.path(), &archive[..cut], plain());
                assert!(ran.result.is_err() || format == "tar", "{format} of {cut} bytes");
            }
            // Whatever a flipped byte does, there is an end to it and no panic; a wrong content is found where there are checksums.
            for at in (0..archive.len()).step_by(if format == "tar" { 41 } else { 7 }) {
                let mut altered = archive.clone();
                altered[at] ^= 0x41;
                let folder = tempfile::tempdir().expect("a folder");
                if unpack(folder.path(), &altered, plain()).result.is_ok() && ["gz", "bz2", "xz"].contains(&format) {
                    assert_eq!(tree(&folder.path().join("files")).len(), 2, "{format} altered at {at}");
                }
            }
        }
        let mut twice = zip_of(&[Made::File("name-1", b"1"), Made::File("name-2", b"2")]);
        let places: Vec<usize> = (0..twice.len() - 6).filter(|&at| &twice[at..at + 6] == b"name-2").collect();
        for at in places {
            twice[at + 5] = b'1';
        }
        refused(&twice, plain(), "it has two entries of one name");
        let folder = tempfile::tempdir().expect("a folder");
        assert!(unpack(folder.path(), &tar_of(&[]), plain()).error().contains("is no zip, tar or rar"));
        assert!(unpack(folder.path(), &zip_of(&[]), plain()).error().contains("has no files in it"));
    }
}
