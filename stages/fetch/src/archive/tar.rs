//! Reads tar archives: v7, ustar, GNU and pax, optionally compressed.
//!
//! The crate `tar` reads headers and content. Extension headers, such as long names, are read here: the crate would read them into
//! memory without a limit.

use super::{Compression, CountedFile, Limited};
use crate::FetchError;
use crate::entry::{Entry, EntryKind, Visitor};
use crate::tree::Unpacking;
use pipe_stage::StageError;
use std::io::{self, BufReader, Read};
use tar::{Archive, EntryType, Header, PaxExtensions};

/// Maximum size of an extension header.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;
/// Maximum memory for decompression: `xz -9` needs 64 MiB, `zstd --ultra` 128 MiB.
const MAX_MEMORY_BYTES: u32 = 256 << 20;
const ZSTD_WINDOW_LOG: u32 = 27;

/// Calls `visit` for each entry of an optionally compressed tar.
pub(super) fn read_compressed(
    unpacking: &Unpacking,
    file: CountedFile,
    compression: Compression,
    max_bytes: u64,
    visit: &mut Visitor,
) -> Result<(), StageError> {
    let file = BufReader::with_capacity(1 << 16, file);
    let broken = |source| FetchError::Broken { archive: unpacking.archive.clone(), source };
    let plain: Box<dyn Read> = match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(file, true, MAX_MEMORY_BYTES / 1024)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(file).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
            Box::new(decoder)
        }
    };
    let mut plain = BufReader::with_capacity(1 << 16, Limited { inner: plain, left: max_bytes });
    if compression != Compression::None {
        let start = io::BufRead::fill_buf(&mut plain).map_err(broken)?;
        // The decoder may return less than a header at first; then the reader detects what is not a tar.
        if start.len() >= super::START_BYTES && !is_header(start) {
            return Err(
                FetchError::NoArchive { archive: format!("the content of {}", unpacking.archive) }.into_stage_error()
            );
        }
    }
    read(unpacking, plain, visit)
}

/// Calls `visit` for each entry of a tar.
pub(super) fn read(unpacking: &Unpacking, source: impl Read, visit: &mut Visitor) -> Result<(), StageError> {
    let broken = |source| FetchError::Broken { archive: unpacking.archive.clone(), source };
    let mut archive = Archive::new(source);
    let mut extensions = Extensions::default();
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut content = entry.map_err(broken)?;
        let header = content.header().clone();
        let size_bytes = header.entry_size().map_err(broken)?;
        if extensions.read(header.entry_type(), &mut content, size_bytes).map_err(broken)? {
            continue;
        }
        let Extensions { name, pax_size_bytes, is_sparse } = std::mem::take(&mut extensions);
        let name = name.unwrap_or_else(|| header.path_bytes().into_owned());
        let mut kind = kind(&header, &name);
        if is_sparse {
            kind = EntryKind::Special("a sparse file");
        } else if pax_size_bytes.is_some_and(|pax_size_bytes| pax_size_bytes != size_bytes) {
            kind = EntryKind::Unsupported(
                "has two sizes, as files larger than 8 GiB in pax archives do, which are not supported",
            );
        }
        // The reader ends at the end of the entry, but also at the end of a truncated file.
        let mut content = ExactSize { left: size_bytes, inner: content };
        visit(Entry { name, kind }, &mut content)?;
    }
    // The checksum of compressed data is at its end.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    Ok(())
}

/// Returns whether `bytes` start with a tar header, by its checksum.
pub(super) fn is_header(bytes: &[u8]) -> bool {
    let Some(bytes) = bytes.get(..super::START_BYTES) else { return false };
    let sum = bytes.iter().enumerate().map(|(at, &byte)| u32::from(if (148..156).contains(&at) { b' ' } else { byte }));
    Header::from_byte_slice(bytes).cksum().is_ok_and(|stated| stated == sum.sum::<u32>())
}

fn kind(header: &Header, name: &[u8]) -> EntryKind {
    match header.entry_type() {
        // The v7 format marks folders only by their names.
        EntryType::Regular if name.ends_with(b"/") => EntryKind::Folder,
        EntryType::Regular | EntryType::Continuous => EntryKind::File,
        EntryType::Directory => EntryKind::Folder,
        EntryType::Symlink => EntryKind::Special("a symbolic link"),
        EntryType::Link => EntryKind::Special("a hard link"),
        EntryType::Char | EntryType::Block => EntryKind::Special("a device"),
        EntryType::Fifo => EntryKind::Special("a named pipe"),
        EntryType::GNUSparse => EntryKind::Special("a sparse file"),
        _ => EntryKind::Special("of an unknown type"),
    }
}

/// The extension headers of the next entry.
#[derive(Debug, Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    pax_size_bytes: Option<u64>,
    is_sparse: bool,
}

impl Extensions {
    /// Reads an extension header. Returns false if it is not one.
    fn read(&mut self, kind: EntryType, content: &mut impl Read, size_bytes: u64) -> io::Result<bool> {
        let extension = matches!(
            kind,
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
        );
        if !extension {
            return Ok(false);
        }
        if size_bytes > MAX_EXTENSION_BYTES {
            return Err(io::Error::other(format!("an extension header has {size_bytes} bytes")));
        }
        let mut bytes = Vec::with_capacity(size_bytes as usize);
        content.read_to_end(&mut bytes)?;
        match kind {
            EntryType::GNULongName => {
                let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                bytes.truncate(end);
                self.name = Some(bytes);
            }
            EntryType::XHeader => self.pax(&bytes)?,
            // Links are not unpacked, and global headers contain only comments and times.
            _ => {}
        }
        Ok(true)
    }

    fn pax(&mut self, bytes: &[u8]) -> io::Result<()> {
        for extension in PaxExtensions::new(bytes) {
            let extension = extension?;
            match extension.key_bytes() {
                b"path" => self.name = Some(extension.value_bytes().to_vec()),
                b"size" => {
                    let size_bytes = extension.value().ok().and_then(|size| size.parse().ok());
                    self.pax_size_bytes =
                        Some(size_bytes.ok_or_else(|| io::Error::other("the size of an entry is not a number"))?);
                }
                key if key.starts_with(b"GNU.sparse.") => self.is_sparse = true,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Fails if the content ends before its size is reached.
struct ExactSize<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for ExactSize<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(count)
    }
}

/// Writes valid and invalid tars.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// An entry to be written.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum TarEntry<'a> {
        Folder(&'a str),
        File(&'a str, &'a [u8]),
        Link(&'a str, &'a str),
        /// Type, name and content, written as they are.
        Raw(EntryType, &'a [u8], &'a [u8]),
    }

    impl TarEntry<'_> {
        pub(crate) fn name(&self) -> &str {
            match self {
                Self::Folder(name) | Self::File(name, _) | Self::Link(name, _) => name,
                Self::Raw(..) => "",
            }
        }
    }

    /// Returns a tar with these entries.
    pub(crate) fn tar_of(made: &[TarEntry]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in made {
            match *entry {
                TarEntry::Folder(name) => push(&mut bytes, EntryType::Directory, name.as_bytes(), &[], ""),
                TarEntry::File(name, content) => push(&mut bytes, EntryType::Regular, name.as_bytes(), content, ""),
                TarEntry::Link(name, target) => push(&mut bytes, EntryType::Symlink, name.as_bytes(), &[], target),
                TarEntry::Raw(kind, name, content) => push(&mut bytes, kind, name, content, ""),
            }
        }
        bytes.resize(bytes.len() + 1024, 0);
        if made.is_empty() { vec![0; 1024] } else { bytes }
    }

    fn push(bytes: &mut Vec<u8>, kind: EntryType, name: &[u8], content: &[u8], target: &str) {
        if name.len() > 100 {
            push(bytes, EntryType::GNULongName, b"././@LongLink", &[name, &[0]].concat(), "");
        }
        let mut header = Header::new_gnu();
        let short = &name[..name.len().min(100)];
        header.as_mut_bytes()[..short.len()].copy_from_slice(short);
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        bytes.extend(header.as_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{TarEntry, tar_of};
    use super::*;

    /// Reads a tar. Returns its entries as lines, or the error.
    fn list(bytes: &[u8]) -> Result<Vec<String>, String> {
        let unpacking = Unpacking { archive: "a.tar".into(), into: String::new(), nested: false };
        let mut lines = Vec::new();
        let read = read(&unpacking, bytes, &mut |entry: Entry, content: &mut dyn Read| {
            let mut text = String::new();
            content.read_to_string(&mut text)?;
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            lines.push(match entry.kind {
                EntryKind::File => format!("{name}: {text}"),
                EntryKind::Folder => name,
                EntryKind::Special(what) | EntryKind::Unsupported(what) => format!("{name} {what}"),
            });
            Ok(())
        });
        read.map(|()| lines).map_err(|error| error.chain().join(": "))
    }

    fn check(made: &[TarEntry], expect: Result<&[&str], &str>) {
        match (list(&tar_of(made)), expect) {
            (Ok(lines), Ok(expect)) => assert_eq!(lines, expect),
            (Err(error), Err(expect)) => assert!(error.contains(expect), "{error}"),
            (found, expect) => panic!("{found:?} is not {expect:?}"),
        }
    }

    #[test]
    fn long_names_links_and_devices_are_recognised() {
        let long = "long/".repeat(40) + "name";
        check(&[TarEntry::File(&long, b"x")], Ok(&[&format!("{long}: x")]));
        let pax = |record: &str| format!("{} {record}\n", record.len() + 4).into_bytes();
        let path = pax("path=by/pax");
        check(&[TarEntry::Raw(EntryType::XHeader, b"h", &path), TarEntry::File("a", b"x")], Ok(&["by/pax: x"]));
        check(&[TarEntry::Raw(EntryType::XGlobalHeader, b"h", &path), TarEntry::File("a", b"x")], Ok(&["a: x"]));
        let size = pax("size=99999");
        let two = "a has two sizes, as files larger than 8 GiB in pax archives do, which are not supported";
        check(&[TarEntry::Raw(EntryType::XHeader, b"h", &size), TarEntry::File("a", b"x")], Ok(&[two]));
        let sparse = pax("GNU.sparse.major=1");
        check(&[TarEntry::Raw(EntryType::XHeader, b"h", &sparse), TarEntry::File("a", b"x")], Ok(&["a a sparse file"]));
        let kinds = [
            (EntryType::Link, "a hard link"),
            (EntryType::Char, "a device"),
            (EntryType::Fifo, "a named pipe"),
            (EntryType::GNUSparse, "a sparse file"),
            (EntryType::new(b'M'), "of an unknown type"),
        ];
        for (kind, what) in kinds {
            check(&[TarEntry::Raw(kind, b"n", b"")], Ok(&[&format!("n {what}")]));
        }
        check(&[TarEntry::File("old/", b"")], Ok(&["old/"]));
    }

    #[test]
    fn large_headers_and_missing_content_are_errors() {
        let large = vec![b'x'; MAX_EXTENSION_BYTES as usize + 1];
        check(&[TarEntry::Raw(EntryType::GNULongName, b"h", &large)], Err("an extension header has 1048577 bytes"));
        check(
            &[TarEntry::Raw(EntryType::XHeader, b"h", b"no record\n"), TarEntry::File("a", b"x")],
            Err("malformed pax extension"),
        );
        let tar = tar_of(&[TarEntry::File("a", &[b'x'; 2000])]);
        assert!(list(&tar[..1500]).expect_err("cut").contains("end of file"));
        let mut altered = tar.clone();
        altered[3] = b'y';
        assert!(list(&altered).expect_err("altered").contains("checksum"));
        // A huge size.
        let mut endless = tar;
        endless[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        let sum: u32 = endless[..512]
            .iter()
            .enumerate()
            .map(|(at, &byte)| u32::from(if (148..156).contains(&at) { b' ' } else { byte }))
            .sum();
        endless[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(list(&endless).is_err());
    }
}
