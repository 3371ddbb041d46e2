//! Checks one object of the store: [`check_action`], [`check_tree`] and [`check_blob`].

use super::Fault;
use crate::inventory::if_exists;
use crate::record::ActionRecord;
use crate::store::{Store, Tree};
use crate::{ActionKey, CacheError, Digest, Fields};
use fs_err as fs;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Files are read in pieces of this size. They are not memory-mapped: a bad sector of a mapped file kills the process.
const PIECE_BYTES: u64 = 1 << 20;

/// Files of at least this size are read in larger pieces, each hashed by all threads.
const LARGE_FILE_BYTES: u64 = 64 << 20;
const LARGE_PIECE_BYTES: u64 = 16 << 20;

pub(super) struct CheckedAction {
    pub(super) key: ActionKey,
    pub(super) record: Option<ActionRecord>,
    pub(super) fault: Option<Fault>,
}

pub(super) struct CheckedTree {
    pub(super) digest: Digest,
    /// The list, if it is intact.
    pub(super) tree: Option<Tree>,
    pub(super) fault: Option<Fault>,
}

pub(super) struct CheckedBlob {
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
    pub(super) fault: Option<Fault>,
}

/// Checks a record and its fields. `name` is the file name of either; only the record's name leads to a check.
pub(super) fn check_action(store: &Store, name: &str) -> Result<Option<CheckedAction>, CacheError> {
    let Some(Ok(key)) = name.strip_suffix(".json").map(str::parse) else { return Ok(None) };
    let (record, fault) = match damage_or_error(store.read_record(key))? {
        Ok(None) => return Ok(None),
        Ok(record) => (record, None),
        Err(fault) => (None, Some(fault)),
    };
    let fields = damage_or_error(store.fields(key))?;
    let right = fields.is_ok_and(|fields: Option<Fields>| fields.is_some_and(|fields| fields.key() == key));
    Ok(Some(CheckedAction { key, record, fault: fault.or((!right).then_some(Fault::Fields)) }))
}

pub(super) fn check_tree(store: &Store, name: &str) -> Result<Option<CheckedTree>, CacheError> {
    let Ok(digest) = name.parse() else { return Ok(None) };
    let damaged = |fault| Ok(Some(CheckedTree { digest, tree: None, fault: Some(fault) }));
    let tree = match damage_or_error(store.tree(digest))? {
        Err(fault) => return damaged(fault),
        Ok(tree) if tree.digest() != digest => return damaged(Fault::Content),
        Ok(tree) => tree,
    };
    let fault = wrong_link(store, digest, &tree)?.map(Fault::Link);
    Ok(Some(CheckedTree { digest, tree: Some(tree), fault }))
}

pub(super) fn check_blob(
    name: &str,
    path: &Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Option<CheckedBlob>, CacheError> {
    let Ok(digest) = name.parse() else { return Ok(None) };
    let Some(metadata) = if_exists(fs::symlink_metadata(path))? else { return Ok(None) };
    let size_bytes = metadata.len();
    let fault = if metadata.is_file() {
        match damage_or_error(hash(path, size_bytes, progress).map_err(CacheError::from))? {
            Ok(found) => (found != digest).then_some(Fault::Content),
            Err(fault) => Some(fault),
        }
    } else {
        Some(Fault::Content)
    };
    Ok(Some(CheckedBlob { digest, size_bytes, fault }))
}

/// Separates damage from other errors, such as missing permissions.
fn damage_or_error<T>(result: Result<T, CacheError>) -> Result<Result<T, Fault>, CacheError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        // EIO has no `ErrorKind`.
        Err(CacheError::Io(error)) if error.raw_os_error() == Some(nix::errno::Errno::EIO as i32) => {
            Ok(Err(Fault::Unreadable))
        }
        Err(CacheError::Io(error)) if is_wrong_file_type(error.kind()) => Ok(Err(Fault::Content)),
        Err(CacheError::Io(error)) => Err(error.into()),
        Err(_) => Ok(Err(Fault::Content)),
    }
}

/// Returns whether an error means that a file is a folder, or the other way round.
fn is_wrong_file_type(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::InvalidData)
}

fn hash(path: &Path, size_bytes: u64, progress: &(dyn Fn(u64) + Sync)) -> std::io::Result<Digest> {
    let mut file = fs::File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let large = size_bytes >= LARGE_FILE_BYTES;
    let piece_bytes = if large { LARGE_PIECE_BYTES } else { PIECE_BYTES.min(size_bytes + 1) };
    let mut piece = vec![0; piece_bytes as usize];
    loop {
        let num_read = match file.read(&mut piece) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        };
        if large {
            hasher.update_rayon(&piece[..num_read]);
        } else {
            hasher.update(&piece[..num_read]);
        }
        progress(num_read as u64);
    }
}

/// Returns the first path at which the folder of a tree differs from its list: a missing, wrong or additional file.
fn wrong_link(store: &Store, digest: Digest, tree: &Tree) -> Result<Option<String>, CacheError> {
    let view = store.view(digest);
    let mut listed = BTreeMap::new();
    list_view(&view, "", &mut listed)?;
    for file in &tree.files {
        let expect = Tree::link_to(file);
        if listed.remove(&file.path).flatten().as_deref() != Some(Path::new(&expect)) {
            return Ok(Some(file.path.clone()));
        }
    }
    Ok(listed.into_keys().next())
}

/// Lists the files in a folder of links, with the targets of links.
fn list_view(folder: &Path, prefix: &str, listed: &mut BTreeMap<String, Option<PathBuf>>) -> Result<(), CacheError> {
    let Some(entries) = if_exists(fs::read_dir(folder))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        // No list contains a name that is not UTF-8, so how it is converted does not matter.
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list_view(&entry.path(), &format!("{path}/"), listed)?;
        } else {
            listed.insert(path, if kind.is_symlink() { Some(fs::read_link(entry.path())?) } else { None });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_any_size_are_hashed_correctly() {
        let folder = tempfile::tempdir().expect("a folder");
        for size in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, LARGE_FILE_BYTES + 5] {
            let bytes: Vec<u8> = (0..size).map(|position| (position % 251) as u8).collect();
            let path = folder.path().join("file");
            fs::write(&path, &bytes).expect("written");
            assert_eq!(hash(&path, size, &|_| ()).expect("hashed"), Digest::of(&bytes), "{size}");
        }
    }
}
