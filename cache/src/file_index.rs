//! [`FileIndex`]: remembers the digests of source files, so that files with unchanged metadata are not read again.
//!
//! There is one index file per source folder, which is read and replaced as a whole. Several `pipe` processes may replace it at
//! once: the last one wins, and the entries of the others are computed again. Layout, little-endian:
//!
//! ```text
//! "pipe-file-index-1\n"
//! per file: path length u32, path, size u64, mtime nanos i128, ctime nanos i128, inode u64, BLAKE3 [32]
//! BLAKE3 [32] of all before
//! ```

use crate::{Digest, replace_file};
use fs_err as fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"pipe-file-index-1\n";

/// If a file changed less than this before it was hashed, a later change might not change its metadata, because the clocks of file
/// systems are coarse. It is hashed again next time.
const TOO_FRESH_NANOS: i128 = 50_000_000;

/// The metadata that changes with the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    /// Size of the file.
    pub size_bytes: u64,
    /// Time of the last change of the content, since 1970.
    pub mtime_nanos: i128,
    /// Time of the last change of content or metadata, since 1970. Users can't set it.
    pub ctime_nanos: i128,
    /// Inode number: another file at the same path has another one.
    pub inode: u64,
}

impl Fingerprint {
    /// Returns the fingerprint in `metadata`.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        let nanos = |secs: i64, nanos: i64| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
        Self {
            size_bytes: metadata.size(),
            mtime_nanos: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime_nanos: nanos(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    /// Returns whether any change after `now_nanos` is certain to change the fingerprint.
    pub fn is_settled(&self, now_nanos: i128) -> bool {
        self.mtime_nanos.max(self.ctime_nanos) + TOO_FRESH_NANOS < now_nanos
    }
}

/// A hashed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// Relative to the source folder.
    pub path: String,
    /// The metadata at the time of hashing.
    pub fingerprint: Fingerprint,
    /// The digest of the content.
    pub digest: Digest,
}

/// The digests of the files in one folder.
#[derive(Debug)]
pub struct FileIndex {
    path: PathBuf,
    /// Sorted by path.
    known: Vec<KnownFile>,
    changed: bool,
    damaged: bool,
}

impl FileIndex {
    /// Reads the index at `path`. An index that is missing, damaged or belongs to another user is empty.
    pub fn open(path: PathBuf) -> Self {
        let bytes = fs::read(&path).ok();
        let known = bytes.as_deref().and_then(decode);
        let damaged = bytes.is_some() && known.is_none();
        // A damaged index is replaced even if there is nothing to write into it.
        Self { path, known: known.unwrap_or_default(), changed: damaged, damaged }
    }

    /// Returns the path of the index if its file is damaged.
    pub fn damaged(&self) -> Option<&Path> {
        self.damaged.then_some(&self.path)
    }

    /// Returns the digest of the file at `path`, if its fingerprint has not changed.
    pub fn find(&self, path: &str, fingerprint: &Fingerprint) -> Option<Digest> {
        let known = &self.known[self.known.binary_search_by(|known| known.path.as_str().cmp(path)).ok()?];
        (known.fingerprint == *fingerprint).then_some(known.digest)
    }

    /// Replaces all entries by `files`.
    pub fn replace(&mut self, mut files: Vec<KnownFile>) {
        files.sort_by(|one, two| one.path.cmp(&two.path));
        if self.known != files {
            self.known = files;
            self.changed = true;
        }
    }

    /// Writes the index if it changed. Otherwise sets its modification time, which is the time of the last use.
    pub fn save(&self) -> io::Result<()> {
        if !self.changed {
            crate::store::touch(&self.path);
            return Ok(());
        }
        fs::create_dir_all(crate::store::parent(&self.path))?;
        replace_file(&self.path, &encode(&self.known))
    }
}

fn encode(known: &[KnownFile]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for KnownFile { path, fingerprint, digest } in known {
        bytes.extend((path.len() as u32).to_le_bytes());
        bytes.extend(path.as_bytes());
        bytes.extend(fingerprint.size_bytes.to_le_bytes());
        bytes.extend(fingerprint.mtime_nanos.to_le_bytes());
        bytes.extend(fingerprint.ctime_nanos.to_le_bytes());
        bytes.extend(fingerprint.inode.to_le_bytes());
        bytes.extend(digest.as_bytes());
    }
    let checksum = Digest::of(&bytes);
    bytes.extend(checksum.as_bytes());
    bytes
}

/// Returns `None` if `bytes` are not the output of [`encode`].
fn decode(bytes: &[u8]) -> Option<Vec<KnownFile>> {
    let (content, checksum) = bytes.split_last_chunk::<32>()?;
    if Digest::of(content).as_bytes() != checksum {
        return None;
    }
    let mut rest = content.strip_prefix(MAGIC)?;
    let mut known = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(take(&mut rest)?) as usize;
        let (path, after) = rest.split_at_checked(length)?;
        rest = after;
        let fingerprint = Fingerprint {
            size_bytes: u64::from_le_bytes(take(&mut rest)?),
            mtime_nanos: i128::from_le_bytes(take(&mut rest)?),
            ctime_nanos: i128::from_le_bytes(take(&mut rest)?),
            inode: u64::from_le_bytes(take(&mut rest)?),
        };
        let digest = Digest::from_bytes(take(&mut rest)?);
        known.push(KnownFile { path: String::from_utf8(path.to_vec()).ok()?, fingerprint, digest });
    }
    Some(known)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_until_the_fingerprint_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("index");
        let fingerprint = Fingerprint { size_bytes: 3, mtime_nanos: -5, ctime_nanos: 7, inode: 9 };
        let mut index = FileIndex::open(path.clone());
        let file = |path: &str| KnownFile { path: path.into(), fingerprint, digest: Digest::of(b"abc") };
        index.replace(vec![file("a/ü"), file("a")]);
        index.save().expect("saved");
        let index = FileIndex::open(path.clone());
        assert_eq!(index.find("a/ü", &fingerprint), Some(Digest::of(b"abc")));
        assert_eq!(index.find("a/ü", &Fingerprint { ctime_nanos: 8, ..fingerprint }), None);
        assert_eq!(index.find("b", &fingerprint), None);

        let mut bytes = fs::read(&path).expect("read");
        bytes[30] ^= 1;
        fs::write(&path, bytes).expect("written");
        let damaged = FileIndex::open(path.clone());
        assert_eq!((damaged.find("a/ü", &fingerprint), damaged.damaged()), (None, Some(path.as_path())));
        damaged.save().expect("saved");
        assert_eq!(FileIndex::open(path).damaged(), None, "it was replaced");
    }

    #[test]
    fn a_recently_changed_file_is_not_settled() {
        let fingerprint =
            Fingerprint { size_bytes: 0, mtime_nanos: 1_000_000_000, ctime_nanos: 1_000_000_000, inode: 1 };
        assert!(!fingerprint.is_settled(1_000_000_000));
        assert!(fingerprint.is_settled(1_100_000_000));
    }
}
