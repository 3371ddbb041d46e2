//! [`verify`]: reads everything in the store and moves damaged objects out of the way.
//!
//! | object | is intact if |
//! |---|---|
//! | blob | its content has the digest in its name |
//! | tree | its list has the digest in its name, and its folder contains exactly one link per file, to the blob of the file |
//! | action | the seal of the record matches the key, and the fields hash to the key |
//!
//! A damaged object is moved to `damaged/<kind>/ab/cdef…`, with the records of the results that need it. These are absent then, and the
//! next run makes them again. A folder of links is rebuilt at once, from its list. Garbage collection deletes what was moved.
//!
//! Runs may continue in the meantime. If a run replaces a damaged object just then, the replacement may be moved too, and is made
//! once more.

use crate::inventory::{if_exists, list_objects};
use crate::store::{Store, Tree, object_path, parent};
use crate::{ActionKey, CacheError, Digest};
use check::{CheckedAction, check_action, check_blob, check_tree};
use fs_err as fs;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

mod check;
mod output;

pub use output::{OutputGuard, verify_output};

/// The result of [`verify`].
#[derive(Debug, Serialize)]
pub struct Verification {
    /// Number of blobs read.
    pub num_blobs: u64,
    /// Total size of the blobs.
    pub blob_bytes: u64,
    /// Number of trees read.
    pub num_trees: u64,
    /// Number of records read.
    pub num_actions: u64,
    /// The damaged objects: actions, then trees, then blobs.
    pub damage: Vec<Damage>,
}

/// A damaged object.
#[derive(Debug, Serialize)]
pub struct Damage {
    /// What is damaged.
    pub object: StoreObject,
    /// What is wrong with it.
    pub fault: Fault,
    /// What `verify` did.
    pub remedy: Repair,
    /// The results that must be made again.
    pub affected: Vec<AffectedResult>,
}

/// What a store keeps: contents of files, lists of files, records of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum StoreObject {
    /// A record and its fields.
    Action(ActionKey),
    /// The list of files of an output, and its folder of links.
    Tree(Digest),
    /// The content of a file.
    Blob(Digest),
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A result needs it, but it does not exist.
    Missing,
    /// Its content was changed.
    Content,
    /// The disk reports a read error.
    Unreadable,
    /// The fields do not hash to the key.
    Fields,
    /// The folder of links differs from the list at this path.
    Link(String),
    /// The folder of links was rebuilt while it was in use.
    Rebuilt,
}

/// What `verify` did with a damaged object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// Nothing: the object does not exist.
    None,
    /// Moved it to this path.
    SetAside(PathBuf),
    /// Moved it to this path, and rebuilt it from its list.
    Rebuilt(PathBuf),
    /// Could not move it, for this reason.
    Failed(String),
}

/// A result that needs a damaged object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AffectedResult {
    /// The action key.
    pub key: ActionKey,
    /// The stage kind, if the record can be read.
    pub kind: Option<String>,
}

impl Display for StoreObject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action(key) => write!(out, "the record {}", key.short()),
            Self::Tree(digest) => write!(out, "the tree {}", digest.short()),
            Self::Blob(digest) => write!(out, "the blob {}", digest.short()),
        }
    }
}

impl Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} is damaged: {}", self.object, self.fault)
    }
}

impl Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => out.write_str("it is missing"),
            Self::Content => out.write_str("its content was changed"),
            Self::Unreadable => out.write_str("the disk reports a read error"),
            Self::Fields => out.write_str("its fields do not match its key"),
            Self::Rebuilt => out.write_str("its folder of links was changed and rebuilt in the meantime"),
            Self::Link(path) => write!(out, "its link `{path}` is wrong"),
        }
    }
}

/// Reads everything in `store` and sets damaged objects aside. Calls `progress` with numbers of bytes read, from several threads.
pub fn verify(store: &Store, progress: &(dyn Fn(u64) + Sync)) -> Result<Verification, CacheError> {
    let actions = read_all(store, "actions", |name, _| check_action(store, name))?;
    let trees = read_all(store, "trees", |name, _| check_tree(store, name))?;
    let blobs = read_all(store, "blobs", |name, path| check_blob(name, path, progress))?;

    let mut faults: BTreeMap<StoreObject, Fault> = BTreeMap::new();
    let all = [
        actions
            .iter()
            .filter_map(|action| Some((StoreObject::Action(action.key), action.fault.clone()?)))
            .collect::<Vec<_>>(),
        trees.iter().filter_map(|tree| Some((StoreObject::Tree(tree.digest), tree.fault.clone()?))).collect(),
        blobs.iter().filter_map(|blob| Some((StoreObject::Blob(blob.digest), blob.fault.clone()?))).collect(),
    ];
    faults.extend(all.into_iter().flatten());
    let lists: BTreeMap<Digest, &Tree> =
        trees.iter().filter_map(|tree| Some((tree.digest, tree.tree.as_ref()?))).collect();
    let existing: BTreeSet<Digest> = blobs.iter().map(|blob| blob.digest).collect();
    let mut affected: BTreeMap<StoreObject, BTreeSet<AffectedResult>> = BTreeMap::new();
    for action in &actions {
        let result = AffectedResult { key: action.key, kind: action.record.as_ref().map(|record| record.kind.clone()) };
        for object in needs(store, action, &lists, &existing, &mut faults) {
            affected.entry(object).or_default().insert(result.clone());
        }
    }
    let damage = faults.into_iter().map(|(object, fault)| {
        let list = if let StoreObject::Tree(digest) = object { lists.get(&digest).copied() } else { None };
        let remedy = repair(store, object, &fault, list);
        // A rebuilt folder affects no result.
        let affected = if matches!(remedy, Repair::Rebuilt(_)) { None } else { affected.remove(&object) };
        let affected: Vec<AffectedResult> = affected.into_iter().flatten().collect();
        if !matches!(remedy, Repair::Failed(_)) {
            for result in &affected {
                retire(store, result.key);
            }
        }
        Damage { object, fault, remedy, affected }
    });
    Ok(Verification {
        damage: damage.collect(),
        num_blobs: blobs.len() as u64,
        blob_bytes: blobs.iter().map(|blob| blob.size_bytes).sum(),
        num_trees: trees.len() as u64,
        num_actions: actions.len() as u64,
    })
}

/// Checks all objects of a kind. Leaves out files that were deleted in the meantime or do not belong to the store.
fn read_all<T: Send>(
    store: &Store,
    kind: &str,
    check: impl Fn(&str, &Path) -> Result<Option<T>, CacheError> + Sync,
) -> Result<Vec<T>, CacheError> {
    let objects = list_objects(&store.root.join(kind))?;
    objects.par_iter().filter_map(|(name, path)| check(name, path).transpose()).collect()
}

/// Returns the damaged objects that an action needs. Adds missing ones to `faults`.
fn needs(
    store: &Store,
    action: &CheckedAction,
    lists: &BTreeMap<Digest, &Tree>,
    existing: &BTreeSet<Digest>,
    faults: &mut BTreeMap<StoreObject, Fault>,
) -> Vec<StoreObject> {
    let mut needed = vec![StoreObject::Action(action.key)];
    if let Some(record) = &action.record {
        let digest = record.output.tree;
        needed.push(StoreObject::Tree(digest));
        match lists.get(&digest) {
            Some(tree) => {
                for file in &tree.files {
                    needed.push(StoreObject::Blob(file.digest));
                    // Check again: it may have been written after the store was listed.
                    if !existing.contains(&file.digest) && !store.object("blobs", file.digest).exists() {
                        faults.insert(StoreObject::Blob(file.digest), Fault::Missing);
                    }
                }
            }
            None if !store.tree_folder(digest).exists() => _ = faults.insert(StoreObject::Tree(digest), Fault::Missing),
            None => {}
        }
    }
    needed.retain(|object| faults.contains_key(object));
    needed
}

/// Moves a damaged object out of the way. If `list` is given, rebuilds the folder of links from it.
fn repair(store: &Store, object: StoreObject, fault: &Fault, list: Option<&Tree>) -> Repair {
    if *fault == Fault::Missing {
        return Repair::None;
    }
    let moved = match object {
        // The record first: fields without a record are not a result.
        StoreObject::Action(key) => set_aside(store, &format!("{}.json", object_path("actions", &key.hex())))
            .and_then(|to| set_aside(store, &format!("{}.fields", object_path("actions", &key.hex()))).map(|_| to)),
        StoreObject::Tree(digest) => set_aside(store, &object_path("trees", &digest.hex())),
        StoreObject::Blob(digest) => set_aside(store, &object_path("blobs", &digest.hex())),
    };
    match (moved, list) {
        (Err(error), _) => Repair::Failed(error.to_string()),
        (Ok(None), _) => Repair::None,
        (Ok(Some(to)), Some(tree)) if store.write_view(tree).is_ok() => Repair::Rebuilt(to),
        (Ok(Some(to)), _) => Repair::SetAside(to),
    }
}

/// Sets the record of a result aside whose objects are not complete: it can't be used any more. Its fields stay, to explain why the
/// action runs again.
fn retire(store: &Store, key: ActionKey) {
    // A record that can't be moved is reported again next time.
    let _ = set_aside(store, &format!("{}.json", object_path("actions", &key.hex())));
}

/// Moves `path`, relative to the store, to `damaged/…`. Keeps files that were moved there before.
fn set_aside(store: &Store, path: &str) -> std::io::Result<Option<PathBuf>> {
    let from = store.root.join(path);
    let first = store.root.join("damaged").join(path);
    if if_exists(fs::symlink_metadata(&from))?.is_none() {
        return Ok(None);
    }
    fs::create_dir_all(parent(&first))?;
    let mut to = first.clone();
    let mut number = 1;
    while to.symlink_metadata().is_ok() {
        number += 1;
        to = PathBuf::from(format!("{}.{number}", first.display()));
    }
    Ok(if_exists(fs::rename(&from, &to))?.map(|()| to))
}

#[cfg(test)]
mod tests;
