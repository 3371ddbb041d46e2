//! One output: [`verify_output`] reads it, [`OutputGuard`] finds out whether a program changed it.

use super::check::{check_blob, check_tree};
use super::{Damage, Fault, Repair, StoreObject, repair};
use crate::inventory::if_exists;
use crate::store::{Store, Tree};
use crate::{CacheError, Digest, Fingerprint};
use fs_err as fs;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Reads an output, and sets its damaged objects aside. Returns those that the output can't be used without; a damaged folder of
/// links is rebuilt.
pub fn verify_output(store: &Store, digest: Digest) -> Result<Vec<Damage>, CacheError> {
    match checked_list(store, digest)? {
        Err(damage) => Ok(vec![damage]),
        Ok(tree) => damaged_blobs(store, sizes(&tree).into_keys().collect()),
    }
}

/// The state of an output before a program got it as an input. Files in the store are read-only, but a program may run as a user who
/// can write to them, and the folder of links is an ordinary folder.
#[derive(Debug)]
pub struct OutputGuard {
    store: Store,
    digest: Digest,
    /// The inode of the folder of links: another one is a folder that was rebuilt.
    folder: Option<u64>,
    /// `None` if the blob was too new: a change might not show in its metadata.
    blobs: BTreeMap<Digest, Option<Fingerprint>>,
}

impl OutputGuard {
    /// Remembers the state of an output.
    pub fn new(store: &Store, digest: Digest) -> Result<Self, CacheError> {
        let mut blobs = BTreeMap::new();
        #[expect(clippy::disallowed_methods, reason = "a blob that is new is hashed; no key depends on the time")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        for blob in sizes(&store.tree(digest)?).into_keys() {
            let fingerprint = Fingerprint::of(&fs::metadata(store.blob(blob))?);
            blobs.insert(blob, fingerprint.is_settled(now).then_some(fingerprint));
        }
        Ok(Self { store: store.clone(), digest, folder: folder_inode(store, digest), blobs })
    }

    /// Returns what has changed since then. Changed blobs are set aside, and a changed folder of links is rebuilt.
    pub fn changes(&self) -> Result<Vec<Damage>, CacheError> {
        let mut changes = Vec::new();
        if let Some(damage) = damaged_list(&self.store, self.digest)? {
            changes.push(damage);
        } else if folder_inode(&self.store, self.digest) != self.folder {
            let object = StoreObject::Tree(self.digest);
            changes.push(Damage { object, fault: Fault::Rebuilt, remedy: Repair::None, affected: Vec::new() });
        }
        let changed = self.blobs.iter().filter(|(blob, before)| {
            let now = fs::metadata(self.store.blob(**blob)).ok().map(|metadata| Fingerprint::of(&metadata));
            now.is_none() || now != **before
        });
        changes.extend(damaged_blobs(&self.store, changed.map(|(blob, _)| *blob).collect())?);
        Ok(changes)
    }
}

fn folder_inode(store: &Store, digest: Digest) -> Option<u64> {
    fs::metadata(store.view(digest)).ok().map(|metadata| metadata.ino())
}

fn sizes(tree: &Tree) -> BTreeMap<Digest, u64> {
    tree.files.iter().map(|file| (file.digest, file.size_bytes)).collect()
}

/// Returns the list of an output, or its damage if it can't be read.
fn checked_list(store: &Store, digest: Digest) -> Result<Result<Tree, Damage>, CacheError> {
    let damage = damaged_list(store, digest)?;
    Ok(match damage {
        Some(damage) if !matches!(damage.remedy, Repair::Rebuilt(_)) => Err(damage),
        Some(_) | None => Ok(store.tree(digest)?),
    })
}

/// Checks list and links of an output. Rebuilds the links, or sets the list aside.
fn damaged_list(store: &Store, digest: Digest) -> Result<Option<Damage>, CacheError> {
    let object = StoreObject::Tree(digest);
    if !store.tree_folder(digest).join("tree.json").exists() {
        return Ok(Some(Damage { object, fault: Fault::Missing, remedy: Repair::None, affected: Vec::new() }));
    }
    let checked = check_tree(store, &digest.to_string())?;
    Ok(checked.and_then(|checked| {
        let fault = checked.fault?;
        let remedy = repair(store, object, &fault, checked.tree.as_ref());
        Some(Damage { object, fault, remedy, affected: Vec::new() })
    }))
}

/// Reads blobs, and sets the damaged ones aside.
fn damaged_blobs(store: &Store, blobs: Vec<Digest>) -> Result<Vec<Damage>, CacheError> {
    let check = |digest: &Digest| {
        let path = store.blob(*digest);
        let fault = match if_exists(fs::symlink_metadata(&path))? {
            None => Some(Fault::Missing),
            Some(_) => check_blob(&digest.to_string(), &path, &|_| ())?.and_then(|checked| checked.fault),
        };
        let object = StoreObject::Blob(*digest);
        Ok(fault.map(|fault| {
            let remedy = repair(store, object, &fault, None);
            Damage { object, fault, remedy, affected: Vec::new() }
        }))
    };
    blobs.par_iter().filter_map(|blob| check(blob).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lookup;
    use crate::testing::TestStore;
    use std::os::unix::fs::PermissionsExt;

    /// Overwrites the blob that holds `content`.
    fn overwrite(store: &Store, content: &str, with: &str) {
        let path = store.blob(Digest::of(content.as_bytes()));
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("writable");
        fs::write(path, with).expect("written");
    }

    #[test]
    fn damage_of_the_same_size_is_found_by_reading() {
        let test = TestStore::new();
        let key = test.action("x", &[("a.txt", "one"), ("b.txt", "two")]);
        let Lookup::Hit(record) = test.store.find(key) else { panic!("recorded") };
        assert!(verify_output(&test.store, record.output.tree).expect("read").is_empty());
        let digest = Digest::of(b"one");
        overwrite(&test.store, "one", "eno");
        assert!(matches!(test.store.find(key), Lookup::Hit(_)), "a lookup does not read files");
        let damage = verify_output(&test.store, record.output.tree).expect("read");
        assert_eq!((damage.len(), damage[0].object, &damage[0].fault), (1, StoreObject::Blob(digest), &Fault::Content));
        assert!(matches!(test.store.find(key), Lookup::Damaged(_)), "it was set aside");
    }

    #[test]
    fn a_guard_finds_every_kind_of_change() {
        let check = |change: &dyn Fn(&Store, &std::path::Path), expect: usize| {
            let test = TestStore::new();
            let tree = test.insert(&[("a.txt", "one"), ("d/b.txt", "two")]);
            let guard = OutputGuard::new(&test.store, tree.digest()).expect("read");
            assert!(guard.changes().expect("checked").is_empty());
            change(&test.store, &test.store.view(tree.digest()));
            assert_eq!(guard.changes().expect("checked").len(), expect);
        };
        check(&|_, _| (), 0);
        check(&|store, _| overwrite(store, "one", "one and more"), 1);
        check(&|store, _| overwrite(store, "one", "eno"), 1);
        check(&|store, _| overwrite(store, "one", "one"), 0);
        check(&|store, _| fs::remove_file(store.blob(Digest::of(b"two"))).expect("removed"), 1);
        check(&|_, view| fs::write(view.join("new.txt"), "new").expect("written"), 1);
        check(&|_, view| fs::remove_file(view.join("a.txt")).expect("removed"), 1);
        check(&|_, view| fs::rename(view.join("a.txt"), view.join("d/a.txt")).expect("moved"), 1);
        check(&|_, view| fs::remove_dir_all(view).expect("removed"), 1);
    }

    #[test]
    fn a_guard_sees_that_another_one_has_rebuilt_the_links() {
        let test = TestStore::new();
        let tree = test.insert(&[("a.txt", "one")]);
        let guards = [(); 2].map(|()| OutputGuard::new(&test.store, tree.digest()).expect("read"));
        let link = test.store.view(tree.digest()).join("a.txt");
        fs::remove_file(&link).expect("removed");
        fs::write(&link, "two").expect("written");
        let faults = guards.map(|guard| guard.changes().expect("checked").remove(0).fault);
        assert_eq!(faults, [Fault::Link("a.txt".into()), Fault::Rebuilt]);
        assert!(OutputGuard::new(&test.store, tree.digest()).expect("read").changes().expect("checked").is_empty());
    }

    #[test]
    fn a_settled_blob_that_was_not_touched_is_not_read() {
        let test = TestStore::new();
        let tree = test.insert(&[("a.txt", "one")]);
        std::thread::sleep(std::time::Duration::from_millis(120));
        let guard = OutputGuard::new(&test.store, tree.digest()).expect("read");
        assert!(guard.blobs.values().all(Option::is_some));
        // A blob that was damaged before is not a change.
        overwrite(&test.store, "one", "eno");
        let guard = OutputGuard { blobs: OutputGuard::new(&test.store, tree.digest()).expect("read").blobs, ..guard };
        assert_eq!(guard.changes().expect("checked").len(), 1, "it is too new not to be read");
    }
}
