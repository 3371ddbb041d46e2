//! [`Tree`]: the list of files of an output. The digest of an output depends only on this list.

use super::object_path;
use crate::{CacheError, Digest};
use serde::{Deserialize, Serialize};

/// Maximum length of a path in an output: less than file systems allow, because the path of the store comes before it.
const MAX_PATH_BYTES: usize = 2048;

/// Maximum length of the name of a file or folder.
const MAX_NAME_BYTES: usize = 255;

/// The files of an output, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// The files, with unique paths.
    pub files: Vec<TreeFile>,
}

/// A file of a [`Tree`]: its path in the output, its content and its size.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TreeFile {
    /// Path relative to the output folder, with `/` between folders.
    pub path: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content.
    pub size_bytes: u64,
}

impl Tree {
    /// Returns the digest of all paths, digests and sizes.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"pipe tree v1");
        for file in &self.files {
            hasher.update(&(file.path.len() as u64).to_le_bytes());
            hasher.update(file.path.as_bytes());
            hasher.update(file.digest.as_bytes());
            hasher.update(&file.size_bytes.to_le_bytes());
        }
        hasher.finalize().into()
    }

    /// Checks that the paths are sorted and unique, and that none leads out of the folder or through a file.
    pub fn check(&self) -> Result<(), CacheError> {
        let mut before: Option<&str> = None;
        for TreeFile { path, .. } in &self.files {
            let named = path.split('/').all(|name| !matches!(name, "" | "." | "..") && name.len() <= MAX_NAME_BYTES);
            let sorted = before.is_none_or(|before| before < path.as_str());
            let through_file = || path.match_indices('/').any(|(end, _)| self.has(&path[..end]));
            if !named || !sorted || path.len() > MAX_PATH_BYTES || path.contains('\0') || through_file() {
                return Err(CacheError::InvalidPath { path: path.clone() });
            }
            before = Some(path);
        }
        Ok(())
    }

    /// Returns whether there is a file at `path`. Files must be sorted.
    fn has(&self, path: &str) -> bool {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok()
    }

    /// Returns the total size of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// Returns the target of the link of a file: from below `trees/ab/cdef…/files/` up to the root of the store, then to the blob.
    pub(crate) fn link_to(file: &TreeFile) -> String {
        let up = "../".repeat(4 + file.path.matches('/').count());
        format!("{up}{}", object_path("blobs", &file.digest.hex()))
    }

    /// Returns the part of the tree at `path`: one file with an empty path, or the files of a folder with paths relative to it.
    pub fn part(&self, path: &str) -> Result<Self, CacheError> {
        if let Some(file) = self.files.iter().find(|file| file.path == path) {
            return Ok(Self { files: vec![TreeFile { path: String::new(), ..file.clone() }] });
        }
        let below = |file: &TreeFile| {
            let rest = file.path.strip_prefix(path)?.strip_prefix('/')?;
            Some(TreeFile { path: rest.to_owned(), ..file.clone() })
        };
        let files: Vec<TreeFile> = self.files.iter().filter_map(below).collect();
        if files.is_empty() {
            return Err(CacheError::MissingOutput { path: path.to_owned() });
        }
        Ok(Self { files })
    }
}
