//! [`verify`]: reads all that the store holds, and sets aside what is not what was written.
//!
//! A blob must have the digest that it is named by; a tree's list too, and its folder must hold one link a file, to the
//! file's blob; a record's seal must fit its key, and its fields must hash to it. What does not is moved, never deleted,
//! to `damaged/<kind>/ab/cdef…`. Then [`Store::find`] finds the results that need it absent or damaged, and the next run
//! makes them again. A folder of links is made again at once, from its list.
//!
//! Runs may go on meanwhile. A result that a run just writes again where it was damaged may be set aside with the damage;
//! it is then made once more.

use crate::inventory::{list_objects, there};
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

/// What was read, and what of it is damaged.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// File contents read.
    pub num_blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Lists and their folders read.
    pub num_trees: u64,
    /// Records read.
    pub num_actions: u64,
    /// What is damaged: actions, then trees, then blobs.
    pub damage: Vec<Damage>,
}

/// Something that is not what was written.
#[derive(Debug, Serialize)]
pub struct Damage {
    /// What.
    pub object: Object,
    /// How.
    pub fault: Fault,
    /// What was done about it.
    pub remedy: Remedy,
    /// The results that are no hits until they are made again.
    pub hits: Vec<HitAction>,
}

/// A thing in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Object {
    /// A record with its fields.
    Action(ActionKey),
    /// A list of files with its folder of links.
    Tree(Digest),
    /// The content of a file.
    Blob(Digest),
}

/// How something is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A result needs it, and it is not there.
    Missing,
    /// It is something else.
    Content,
    /// The disk does not give it back.
    Unreadable,
    /// The fields are not those of the key.
    Fields,
    /// This link of the folder is not what the list says.
    Link(String),
}

/// What was done about damage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// There was nothing to move.
    None,
    /// It was moved here.
    SetAside(PathBuf),
    /// It was moved here, and made again from what is right.
    Mended(PathBuf),
    /// It is where it was, because it can't be moved.
    Left(String),
}

/// A result that lacks something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HitAction {
    /// Its key.
    pub key: ActionKey,
    /// Its stage kind, where its record can be read.
    pub kind: Option<String>,
}

impl Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => out.write_str("it is not there"),
            Self::Content => out.write_str("it is not what was written"),
            Self::Unreadable => out.write_str("the disk does not give it back"),
            Self::Fields => out.write_str("its fields are not those of its key"),
            Self::Link(path) => write!(out, "its link `{path}` does not lead to the file's content"),
        }
    }
}

/// Reads all of `store`, and sets aside what is damaged. `progress` hears of bytes that were read, from many threads.
pub fn verify(store: &Store, progress: &(dyn Fn(u64) + Sync)) -> Result<Verified, CacheError> {
    let actions = read_all(store, "actions", |name, _| check_action(store, name))?;
    let trees = read_all(store, "trees", |name, _| check_tree(store, name))?;
    let blobs = read_all(store, "blobs", |name, path| check_blob(name, path, progress))?;

    let mut faults: BTreeMap<Object, Fault> = BTreeMap::new();
    let all = [
        actions
            .iter()
            .filter_map(|action| Some((Object::Action(action.key), action.fault.clone()?)))
            .collect::<Vec<_>>(),
        trees.iter().filter_map(|tree| Some((Object::Tree(tree.digest), tree.fault.clone()?))).collect(),
        blobs.iter().filter_map(|blob| Some((Object::Blob(blob.digest), blob.fault.clone()?))).collect(),
    ];
    faults.extend(all.into_iter().flatten());
    let lists: BTreeMap<Digest, &Tree> =
        trees.iter().filter_map(|tree| Some((tree.digest, tree.tree.as_ref()?))).collect();
    let there: BTreeSet<Digest> = blobs.iter().map(|blob| blob.digest).collect();
    let mut hits: BTreeMap<Object, BTreeSet<HitAction>> = BTreeMap::new();
    for action in &actions {
        let hit = HitAction { key: action.key, kind: action.record.as_ref().map(|record| record.kind.clone()) };
        for object in needs(store, action, &lists, &there, &mut faults) {
            hits.entry(object).or_default().insert(hit.clone());
        }
    }
    let damage = faults.into_iter().map(|(object, fault)| {
        let mended = if let Object::Tree(digest) = object { lists.get(&digest).copied() } else { None };
        let remedy = remedy(store, object, &fault, mended);
        // A result whose folder is mended is a hit as before.
        let hits = if matches!(remedy, Remedy::Mended(_)) { None } else { hits.remove(&object) };
        Damage { object, fault, remedy, hits: hits.into_iter().flatten().collect() }
    });
    Ok(Verified {
        damage: damage.collect(),
        num_blobs: blobs.len() as u64,
        blob_bytes: blobs.iter().map(|blob| blob.size_bytes).sum(),
        num_trees: trees.len() as u64,
        num_actions: actions.len() as u64,
    })
}

/// Checks each object of a kind, and leaves out what is gone meanwhile or none of ours.
fn read_all<T: Send>(
    store: &Store,
    kind: &str,
    check: impl Fn(&str, &Path) -> Result<Option<T>, CacheError> + Sync,
) -> Result<Vec<T>, CacheError> {
    let objects = list_objects(&store.root.join(kind))?;
    objects.par_iter().filter_map(|(name, path)| check(name, path).transpose()).collect()
}

/// Returns the damaged objects that an action needs, having added to `faults` those that are not there.
fn needs(
    store: &Store,
    action: &CheckedAction,
    lists: &BTreeMap<Digest, &Tree>,
    there: &BTreeSet<Digest>,
    faults: &mut BTreeMap<Object, Fault>,
) -> Vec<Object> {
    let mut needed = vec![Object::Action(action.key)];
    if let Some(record) = &action.record {
        let digest = record.output.tree;
        needed.push(Object::Tree(digest));
        match lists.get(&digest) {
            Some(tree) => {
                for file in &tree.files {
                    needed.push(Object::Blob(file.digest));
                    // Looked for once more: it may have been written since the store was listed.
                    if !there.contains(&file.digest) && !store.object("blobs", file.digest).exists() {
                        faults.insert(Object::Blob(file.digest), Fault::Missing);
                    }
                }
            }
            None if !store.tree_folder(digest).exists() => _ = faults.insert(Object::Tree(digest), Fault::Missing),
            None => {}
        }
    }
    needed.retain(|object| faults.contains_key(object));
    needed
}

/// Moves what is damaged out of the way; `mended` is what it can be made from.
fn remedy(store: &Store, object: Object, fault: &Fault, mended: Option<&Tree>) -> Remedy {
    if *fault == Fault::Missing {
        return Remedy::None;
    }
    let moved = match object {
        // The record first: fields alone are no result.
        Object::Action(key) => set_aside(store, &format!("{}.json", object_path("actions", &key.hex())))
            .and_then(|to| set_aside(store, &format!("{}.fields", object_path("actions", &key.hex()))).map(|_| to)),
        Object::Tree(digest) => set_aside(store, &object_path("trees", &digest.hex())),
        Object::Blob(digest) => set_aside(store, &object_path("blobs", &digest.hex())),
    };
    match (moved, mended) {
        (Err(error), _) => Remedy::Left(error.to_string()),
        (Ok(None), _) => Remedy::None,
        (Ok(Some(to)), Some(tree)) if store.write_view(tree).is_ok() => Remedy::Mended(to),
        (Ok(Some(to)), _) => Remedy::SetAside(to),
    }
}

/// Moves what lies at `path` below the store to `damaged/…`, beside what was moved there before.
fn set_aside(store: &Store, path: &str) -> std::io::Result<Option<PathBuf>> {
    let from = store.root.join(path);
    let first = store.root.join("damaged").join(path);
    if there(fs::symlink_metadata(&from))?.is_none() {
        return Ok(None);
    }
    fs::create_dir_all(parent(&first))?;
    let mut to = first.clone();
    let mut number = 1;
    while to.symlink_metadata().is_ok() {
        number += 1;
        to = PathBuf::from(format!("{}.{number}", first.display()));
    }
    Ok(there(fs::rename(&from, &to))?.map(|()| to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lookup;
    use crate::testing::Space;

    const FILES: &[(&str, &str)] = &[("a/b.txt", "one"), ("c.txt", "two")];

    fn verified(space: &Space) -> Verified {
        verify(&space.store, &|_| ()).expect("verified")
    }

    fn flip(path: &Path) {
        let mut bytes = fs::read(path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        // A blob is read-only: it is damaged below the file system.
        let _ = fs::remove_file(path);
        fs::write(path, bytes).expect("written");
    }

    fn tree(space: &Space, key: ActionKey) -> Digest {
        space.store.read_record(key).expect("read").expect("a record").output.tree
    }

    #[test]
    fn a_right_store_is_clean() {
        let space = Space::new();
        space.action("x", FILES);
        space.action("y", &[]);
        let read = std::sync::atomic::AtomicU64::new(0);
        let add = |bytes| _ = read.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        let verified = verify(&space.store, &add).expect("verified");
        assert!(verified.damage.is_empty(), "{:?}", verified.damage);
        let counts = (verified.num_blobs, verified.blob_bytes, verified.num_trees, verified.num_actions);
        assert_eq!((counts, read.into_inner()), ((2, 6, 2, 2), 6));
    }

    /// Damages one object; it must be found, named with the result that it hits, and healed by making that again.
    fn check(damage: impl Fn(&Store, ActionKey, Digest) -> PathBuf, kind: &str, fault: Fault) {
        let space = Space::new();
        let (key, other) = (space.action("x", FILES), space.action("y", &[("d.txt", "three")]));
        let path = damage(&space.store, key, tree(&space, key));
        let found = verified(&space).damage;
        let [found] = &found[..] else { panic!("one damaged object, not {found:?}") };
        let object = serde_json::to_value(found.object).expect("JSON");
        assert_eq!((object["kind"].as_str(), &found.fault), (Some(kind), &fault));
        assert_eq!(found.hits.iter().map(|hit| hit.key).collect::<Vec<_>>(), [key]);
        assert!(matches!(&found.remedy, Remedy::SetAside(to) if to.exists()) && !path.exists(), "{found:?}");
        assert!(!matches!(space.store.find(key), Lookup::Hit(_)));
        assert!(matches!(space.store.find(other), Lookup::Hit(_)));
        assert_eq!(space.action("x", FILES), key);
        assert!(matches!(space.store.find(key), Lookup::Hit(_)));
        let view = space.store.view(tree(&space, key));
        assert_eq!(fs::read_to_string(view.join("a/b.txt")).expect("read"), "one");
        assert!(verified(&space).damage.is_empty(), "healed");
    }

    fn flipped(path: PathBuf) -> PathBuf {
        flip(&path);
        path
    }

    #[test]
    fn a_flipped_bit_is_found_named_and_healed() {
        let blob = |store: &Store, _, _| flipped(store.object("blobs", Digest::of(b"one")));
        check(blob, "blob", Fault::Content);
        let list = |store: &Store, _, tree| flipped(store.tree_folder(tree).join("tree.json"));
        check(list, "tree", Fault::Content);
        let record = |store: &Store, key, _| flipped(store.action_path(key, "json"));
        check(record, "action", Fault::Content);
        let fields = |store: &Store, key, _| flipped(store.action_path(key, "fields"));
        check(fields, "action", Fault::Fields);
    }

    #[test]
    fn what_has_another_size_or_is_no_file_is_damaged_too() {
        let truncated = |store: &Store, _, _| {
            let path = store.object("blobs", Digest::of(b"one"));
            fs::remove_file(&path).expect("removed");
            fs::write(&path, "").expect("written");
            path
        };
        check(truncated, "blob", Fault::Content);
        let folder = |store: &Store, _, _| {
            let path = store.object("blobs", Digest::of(b"one"));
            fs::remove_file(&path).expect("removed");
            fs::create_dir(&path).expect("made");
            path
        };
        check(folder, "blob", Fault::Content);
    }

    /// `insert` trusts a blob that has the right size, so that a hit costs no reading. After the wrong one was set aside,
    /// the right one takes its place.
    #[test]
    fn a_wrong_blob_of_the_right_size_is_replaced_once_it_is_set_aside() {
        let space = Space::new();
        let key = space.action("x", FILES);
        let blob = space.store.object("blobs", Digest::of(b"one"));
        flip(&blob);
        space.action("x", FILES);
        assert_ne!(fs::read_to_string(&blob).expect("read"), "one", "this is why it must be set aside");
        assert_eq!(verified(&space).damage.len(), 1);
        assert!(matches!(space.store.find(key), Lookup::Damaged(CacheError::Lost { .. })));
        space.action("x", FILES);
        assert_eq!(fs::read_to_string(&blob).expect("read"), "one");
    }

    #[test]
    fn a_folder_of_links_is_mended_at_once() {
        let check = |damage: &dyn Fn(&Path), link: &str| {
            let space = Space::new();
            let key = space.action("x", FILES);
            let view = space.store.view(tree(&space, key));
            damage(&view);
            let found = verified(&space).damage;
            let [found] = &found[..] else { panic!("one damaged object, not {found:?}") };
            assert_eq!(found.fault, Fault::Link(link.to_owned()));
            assert!(matches!(found.remedy, Remedy::Mended(_)) && found.hits.is_empty(), "{found:?}");
            assert!(matches!(space.store.find(key), Lookup::Hit(_)));
            assert_eq!(fs::read_to_string(view.join("a/b.txt")).expect("read"), "one");
            assert!(verified(&space).damage.is_empty());
        };
        check(&|view| fs::remove_file(view.join("a/b.txt")).expect("removed"), "a/b.txt");
        check(&|view| fs::remove_dir_all(view).expect("removed"), "a/b.txt");
        check(&|view| fs::write(view.join("more"), "x").expect("written"), "more");
        let edited = |view: &Path| {
            fs::remove_file(view.join("c.txt")).expect("removed");
            fs::write(view.join("c.txt"), "edited").expect("written");
        };
        check(&edited, "c.txt");
    }

    #[test]
    fn what_is_not_there_is_named_until_it_is_made_again() {
        let space = Space::new();
        let (key, other) = (space.action("x", FILES), space.action("y", &[("d.txt", "three")]));
        fs::remove_file(space.store.object("blobs", Digest::of(b"two"))).expect("removed");
        fs::remove_dir_all(space.store.tree_folder(tree(&space, other))).expect("removed");
        for _ in 0..2 {
            let damage = verified(&space).damage;
            let found: Vec<_> =
                damage.iter().map(|damage| (&damage.fault, &damage.remedy, damage.hits[0].key)).collect();
            assert_eq!(found, [(&Fault::Missing, &Remedy::None, other), (&Fault::Missing, &Remedy::None, key)]);
        }
        space.action("x", FILES);
        space.action("y", &[("d.txt", "three")]);
        assert!(verified(&space).damage.is_empty());
    }

    #[test]
    fn what_is_set_aside_twice_is_kept_twice() {
        let space = Space::new();
        let mut places = BTreeSet::new();
        for _ in 0..3 {
            space.action("x", FILES);
            flip(&space.store.object("blobs", Digest::of(b"one")));
            let Remedy::SetAside(to) = verified(&space).damage.remove(0).remedy else { panic!("set aside") };
            places.insert(to);
        }
        assert!(places.len() == 3 && places.iter().all(|path| path.exists()));
    }

    #[test]
    fn what_can_t_be_moved_is_told_and_left() {
        let space = Space::new();
        space.action("x", FILES);
        flip(&space.store.object("blobs", Digest::of(b"one")));
        fs::write(space.store.root.join("damaged"), "in the way").expect("written");
        let damage = verified(&space).damage;
        assert!(matches!(&damage[0].remedy, Remedy::Left(why) if why.contains("damaged")), "{damage:?}");
    }
}
