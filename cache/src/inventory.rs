//! [`Inventory`]: all that the store holds, read from its folders; what [`crate::gc`] and [`crate::stats`] count with.

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

/// So many things of so many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// Their bytes, as long as the files are; folders and links count nothing.
    pub size_bytes: u64,
}

/// What lies in the store. What goes away while it is read is not in it.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) actions: BTreeMap<ActionKey, KnownAction>,
    /// Fields whose record was never written, or is gone.
    pub(crate) stray_fields: BTreeMap<ActionKey, u64>,
    pub(crate) trees: BTreeMap<Digest, KnownTree>,
    pub(crate) blobs: BTreeMap<Digest, u64>,
    /// Records that can't be read; what they need can't be told.
    pub(crate) unreadable: Vec<PathBuf>,
}

/// An action with a record that can be read.
#[derive(Debug)]
pub(crate) struct KnownAction {
    pub(crate) record: ActionRecord,
    pub(crate) last_use: SystemTime,
    /// Of record and fields.
    pub(crate) size_bytes: u64,
}

/// The list of one output.
#[derive(Debug)]
pub(crate) struct KnownTree {
    /// `None` if it can't be read.
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
    /// Returns each blob once, with its size.
    pub(crate) fn blobs(&self) -> BTreeMap<Digest, u64> {
        let files = self.tree.iter().flat_map(|tree| &tree.files);
        files.map(|TreeFile { digest, size_bytes, .. }| (*digest, *size_bytes)).collect()
    }
}

impl Inventory {
    /// Reads every record and every list, and looks at every blob.
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
            let Some(metadata) = there(fs::metadata(path.join("tree.json")))? else {
                return Ok(Some((digest, KnownTree { tree: None, size_bytes: 0 })));
            };
            let tree = store.tree(digest).ok().filter(|tree| tree.digest() == digest);
            Ok(Some((digest, KnownTree { tree, size_bytes: metadata.len() })))
        };
        inventory.trees = collect(list_objects(&store.root.join("trees"))?, tree)?;
        let blob = |(name, path): &(String, PathBuf)| {
            let Ok(digest) = name.parse() else { return Ok(None) };
            Ok(there(fs::symlink_metadata(path))?.map(|metadata| (digest, metadata.len())))
        };
        inventory.blobs = collect(list_objects(&store.root.join("blobs"))?, blob)?;
        inventory.unreadable.sort();
        Ok(inventory)
    }

    /// Returns whether all that an action wrote is there.
    pub(crate) fn is_whole(&self, action: &KnownAction) -> bool {
        let tree = self.trees.get(&action.record.output.tree).filter(|tree| tree.tree.is_some());
        tree.is_some_and(|tree| tree.blobs().iter().all(|(blob, size)| self.blobs.get(blob) == Some(size)))
    }

    /// Returns `keys` and the parts that they were put together from.
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
    /// Gone meanwhile, or nothing of ours.
    None,
}

fn read_action(store: &Store, name: &str, path: &Path) -> Result<ActionFile, CacheError> {
    let Some((Ok(key), extension)) = name.split_once('.').map(|(key, extension)| (key.parse(), extension)) else {
        return Ok(ActionFile::None);
    };
    let Some(metadata) = there(fs::metadata(path))? else { return Ok(ActionFile::None) };
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

/// Returns `None` for what is not there (any more).
pub(crate) fn there<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Lists what lies two levels below `folder`: names put together again, as in `ab/cdef…`, and paths.
pub(crate) fn list_objects(folder: &Path) -> Result<Vec<(String, PathBuf)>, CacheError> {
    let shards = list_folder(folder)?;
    let lists = shards.par_iter().filter(|(_, path)| path.is_dir()).map(|(first, path)| {
        let objects = list_folder(path)?;
        Ok(objects.into_iter().map(|(rest, path)| (format!("{first}{rest}"), path)).collect())
    });
    Ok(lists.collect::<Result<Vec<Vec<_>>, CacheError>>()?.concat())
}

/// Lists a folder, which may be absent, sorted by name. Names that are not UTF-8 are none of ours.
pub fn list_folder(folder: &Path) -> Result<Vec<(String, PathBuf)>, CacheError> {
    let Some(entries) = there(fs::read_dir(folder))? else { return Ok(Vec::new()) };
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

/// Counts the files at or below `path`; links are not followed.
pub fn measure_files(path: &Path) -> Result<Counted, CacheError> {
    let mut counted = Counted::default();
    let Some(metadata) = there(fs::symlink_metadata(path))? else { return Ok(counted) };
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
