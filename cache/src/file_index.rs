//! [`FileIndex`]: knows the digest of a source file without reading it, as long as the file looks untouched.
//!
//! One small file a source folder, read whole and replaced whole. Several `pipe` processes may write it at once: each
//! replaces it by a complete one, and what is lost is only work saved. Layout, little endian:
//!
//! ```text
//! "pipe-file-index-1\n"
//! per file: path length u32, path, size u64, mtime nanos i128, ctime nanos i128, inode u64, BLAKE3 [32]
//! BLAKE3 [32] of all before
//! ```

use crate::{CacheError, Digest};
use fs_err as fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"pipe-file-index-1\n";

/// A file that changed less than this before it was hashed may change again without looking so: clocks of file systems
/// tick coarsely. It is hashed again next time.
const TOO_FRESH_NANOS: i128 = 50_000_000;

/// What a file looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    /// Its size.
    pub size_bytes: u64,
    /// Content changed.
    pub mtime_nanos: i128,
    /// Content or metadata changed; can't be set by users.
    pub ctime_nanos: i128,
    /// Its number in the file system.
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

    /// Returns whether a change right after `now_nanos` would be sure to change the fingerprint.
    pub fn is_settled(&self, now_nanos: i128) -> bool {
        self.mtime_nanos.max(self.ctime_nanos) + TOO_FRESH_NANOS < now_nanos
    }
}

/// A file that was hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// Below the folder.
    pub path: String,
    /// What it looked like.
    pub fingerprint: Fingerprint,
    /// Of its content.
    pub digest: Digest,
}

/// Digests of the files of one folder.
#[derive(Debug)]
pub struct FileIndex {
    path: PathBuf,
    /// Sorted by path.
    known: Vec<KnownFile>,
    changed: bool,
}

impl FileIndex {
    /// Reads the index kept at `path`; one that is absent or damaged is empty.
    pub fn open(path: PathBuf) -> Self {
        let known = fs::read(&path).ok().and_then(|bytes| decode(&bytes)).unwrap_or_default();
        Self { path, known, changed: false }
    }

    /// Returns the digest of the file at `path`, if it looks as it did when it was hashed.
    pub fn find(&self, path: &str, fingerprint: &Fingerprint) -> Option<Digest> {
        let known = &self.known[self.known.binary_search_by(|known| known.path.as_str().cmp(path)).ok()?];
        (known.fingerprint == *fingerprint).then_some(known.digest)
    }

    /// Replaces what is known by `files`, which are all there are now.
    pub fn replace(&mut self, mut files: Vec<KnownFile>) {
        files.sort_by(|one, two| one.path.cmp(&two.path));
        if self.known != files {
            self.known = files;
            self.changed = true;
        }
    }

    /// Writes the index, if it changed. The file's time says when it was last of use.
    pub fn save(&self) -> Result<(), CacheError> {
        if !self.changed {
            crate::record::touch(&self.path);
            return Ok(());
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&encode(&self.known))?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
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

/// Returns `None` for anything that [`encode`] did not write.
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
    fn what_is_saved_is_found_until_the_file_looks_different() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("index");
        let look = Fingerprint { size_bytes: 3, mtime_nanos: -5, ctime_nanos: 7, inode: 9 };
        let mut index = FileIndex::open(path.clone());
        let file = |path: &str| KnownFile { path: path.into(), fingerprint: look, digest: Digest::of(b"abc") };
        index.replace(vec![file("a/ü"), file("a")]);
        index.save().expect("saved");
        let index = FileIndex::open(path.clone());
        assert_eq!(index.find("a/ü", &look), Some(Digest::of(b"abc")));
        assert_eq!(index.find("a/ü", &Fingerprint { ctime_nanos: 8, ..look }), None);
        assert_eq!(index.find("b", &look), None);

        let mut bytes = fs::read(&path).expect("read");
        bytes[30] ^= 1;
        fs::write(&path, bytes).expect("written");
        assert_eq!(FileIndex::open(path).find("a/ü", &look), None, "a damaged index knows nothing");
    }

    #[test]
    fn a_fresh_file_is_not_settled() {
        let look = Fingerprint { size_bytes: 0, mtime_nanos: 1_000_000_000, ctime_nanos: 1_000_000_000, inode: 1 };
        assert!(!look.is_settled(1_000_000_000));
        assert!(look.is_settled(1_100_000_000));
    }
}
