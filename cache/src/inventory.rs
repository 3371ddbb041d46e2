//! [`Inventory`]: everything in the store, read from its folders. [`crate::gc`] and [`crate::stats`] use it.

use crate::record::ActionRecord;
use crate::store::{Store, Tree, TreeFile};
use crate::{ActionKey, CacheError, Digest};
use fs_err as fs;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A number of items with their total size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Number of items.
    pub count: u64,
    /// Sum of the file sizes. Folders and links have size 0.
    pub size_bytes: u64,
}

/// Everything in the store. Objects that are deleted in the meantime are left out.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) actions: BTreeMap<ActionKey, KnownAction>,
    /// Sizes of fields without a record.
    pub(crate) stray_fields: BTreeMap<ActionKey, u64>,
    pub(crate) trees: BTreeMap<Digest, KnownTree>,
    pub(crate) blobs: BTreeMap<Digest, u64>,
    /// Records that can't be read, so that the objects they need are unknown.
    pub(crate) unreadable: Vec<PathBuf>,
}

/// An action with a readable record.
#[derive(Debug)]
pub(crate) struct KnownAction {
    pub(crate) record: ActionRecord,
    pub(crate) last_use: SystemTime,
    /// Size of record and fields.
    pub(crate) size_bytes: u64,
}

/// The list of files of an output.
#[derive(Debug)]
pub(crate) struct KnownTree {
    /// `None` if the list can't be read.
    pub(crate) tree: Option<Tree>,
    pub(crate) size_bytes: u64,
}

impl Counted {
    pub(crate) fn add(&mut self, size_bytes: u64) {
        self.count += 1;
        self.size_bytes += size_bytes;
    }
}

impl KnownTree {
    /// Returns the blobs of the output with their sizes.
    pub(crate) fn blobs(&self) -> BTreeMap<Digest, u64> {
        let files = self.tree.iter().flat_map(|tree| &tree.files);
        files.map(|TreeFile { digest, size_bytes, .. }| (*digest, *size_bytes)).collect()
    }
}

impl Inventory {
    /// Reads all records and lists of files, and the sizes of all blobs.
    pub(crate) fn read(store: &Store) -> Result<Self, CacheError> {
        let mut inventory = Self::default();
        let mut fields = BTreeMap::new();
        let found = list_objects(&store.root.join("actions"))?;
        let found =
            found.par_iter().map(|(name, path)| read_action(store, name, path)).collect::<Result<Vec<_>, _>>()?;
        for file in found {
            match file {
                ActionFile::Record(key, action) => _ = inventory.actions.insert(key, *action),
                ActionFile::Fields(key, size_bytes) => _ = fields.insert(key, size_bytes),
                ActionFile::Unreadable(path) => inventory.unreadable.push(path),
                ActionFile::None => {}
            }
        }
        for (key, size_bytes) in fields {
            match inventory.actions.get_mut(&key) {
                Some(action) => action.size_bytes += size_bytes,
                None => _ = inventory.stray_fields.insert(key, size_bytes),
            }
        }
        let tree = |(name, path): &(String, PathBuf)| {
            let Ok(digest) = name.parse() else { return Ok(None) };
            let Some(metadata) = if_exists(fs::metadata(path.join("tree.json")))? else {
                return Ok(Some((digest, KnownTree { tree: None, size_bytes: 0 })));
            };
            let tree = store.tree(digest).ok().filter(|tree| tree.digest() == digest);
            Ok(Some((digest, KnownTree { tree, size_bytes: metadata.len() })))
        };
        inventory.trees = collect(list_objects(&store.root.join("trees"))?, tree)?;
        let blob = |(name, path): &(String, PathBuf)| {
            let Ok(digest) = name.parse() else { return Ok(None) };
            Ok(if_exists(fs::symlink_metadata(path))?.map(|metadata| (digest, metadata.len())))
        };
        inventory.blobs = collect(list_objects(&store.root.join("blobs"))?, blob)?;
        inventory.unreadable.sort();
        Ok(inventory)
    }

    /// Returns whether all objects of a result are in the store.
    pub(crate) fn is_complete(&self, action: &KnownAction) -> bool {
        let tree = self.trees.get(&action.record.output.tree).filter(|tree| tree.tree.is_some());
        tree.is_some_and(|tree| tree.blobs().iter().all(|(blob, size)| self.blobs.get(blob) == Some(size)))
    }

    /// Returns `keys` and the keys of the parts they were assembled from.
    pub(crate) fn with_parts(&self, keys: &BTreeSet<ActionKey>) -> BTreeSet<ActionKey> {
        let mut all = BTreeSet::new();
        let mut open: Vec<ActionKey> = keys.iter().copied().collect();
        while let Some(key) = open.pop() {
            if all.insert(key) {
                open.extend(self.actions.get(&key).into_iter().flat_map(|action| action.record.parts.values()));
            }
        }
        all
    }
}

enum ActionFile {
    Record(ActionKey, Box<KnownAction>),
    Fields(ActionKey, u64),
    Unreadable(PathBuf),
    /// Deleted in the meantime, or not a file of the store.
    None,
}

fn read_action(store: &Store, name: &str, path: &Path) -> Result<ActionFile, CacheError> {
    let Some((Ok(key), extension)) = name.split_once('.').map(|(key, extension)| (key.parse(), extension)) else {
        return Ok(ActionFile::None);
    };
    let Some(metadata) = if_exists(fs::metadata(path))? else { return Ok(ActionFile::None) };
    match extension {
        "fields" => Ok(ActionFile::Fields(key, metadata.len())),
        "json" => match store.read_record(key) {
            Ok(Some(record)) => {
                let action = KnownAction { record, last_use: metadata.modified()?, size_bytes: metadata.len() };
                Ok(ActionFile::Record(key, Box::new(action)))
            }
            Ok(None) => Ok(ActionFile::None),
            Err(CacheError::Io(error)) => Err(error.into()),
            Err(_) => Ok(ActionFile::Unreadable(path.into())),
        },
        _ => Ok(ActionFile::None),
    }
}

type Known<V> = Result<Option<(Digest, V)>, CacheError>;

fn collect<V: Send>(
    objects: Vec<(String, PathBuf)>,
    read: impl Fn(&(String, PathBuf)) -> Known<V> + Sync,
) -> Result<BTreeMap<Digest, V>, CacheError> {
    objects.par_iter().filter_map(|object| read(object).transpose()).collect()
}

/// Turns "not found" into `None`.
pub(crate) fn if_exists<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Lists the objects in `folder`, which are two levels below: names such as `abcdef…` for `ab/cdef…`, and paths.
pub(crate) fn list_objects(folder: &Path) -> Result<Vec<(String, PathBuf)>, CacheError> {
    let shards = list_folder(folder)?;
    let lists = shards.par_iter().filter(|(_, path)| path.is_dir()).map(|(first, path)| {
        let objects = list_folder(path)?;
        Ok(objects.into_iter().map(|(rest, path)| (format!("{first}{rest}"), path)).collect())
    });
    Ok(lists.collect::<Result<Vec<Vec<_>>, CacheError>>()?.concat())
}

/// Lists a folder, sorted by name. Skips names that are not UTF-8. A missing folder is empty.
pub fn list_folder(folder: &Path) -> Result<Vec<(String, PathBuf)>, CacheError> {
    let Some(entries) = if_exists(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            all.push((name, entry.path()));
        }
    }
    all.sort();
    Ok(all)
}

/// Counts the files at or below `path`. Does not follow links.
pub fn measure_files(path: &Path) -> Result<Counted, CacheError> {
    let mut counted = Counted::default();
    let Some(metadata) = if_exists(fs::symlink_metadata(path))? else { return Ok(counted) };
    if metadata.is_dir() {
        for (_, path) in list_folder(path)? {
            let below = measure_files(&path)?;
            counted.count += below.count;
            counted.size_bytes += below.size_bytes;
        }
    } else {
        counted.add(if metadata.is_file() { metadata.len() } else { 0 });
    }
    Ok(counted)
}
