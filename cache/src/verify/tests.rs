//! Damages one object of a store at a time: it must be found, reported and repaired by the next run.

use super::*;
use crate::Lookup;
use crate::testing::TestStore;

const FILES: &[(&str, &str)] = &[("a/b.txt", "one"), ("c.txt", "two")];

fn verified(test: &TestStore) -> Verification {
    verify(&test.store, &|_| ()).expect("verified")
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // Blobs are read-only, so the file is replaced.
    let _ = fs::remove_file(path);
    fs::write(path, bytes).expect("written");
}

fn tree(test: &TestStore, key: ActionKey) -> Digest {
    test.store.read_record(key).expect("read").expect("a record").output.tree
}

#[test]
fn an_intact_store_has_no_damage() {
    let test = TestStore::new();
    test.action("x", FILES);
    test.action("y", &[]);
    let read = std::sync::atomic::AtomicU64::new(0);
    let add = |bytes| _ = read.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    let verified = verify(&test.store, &add).expect("verified");
    assert!(verified.damage.is_empty(), "{:?}", verified.damage);
    let counts = (verified.num_blobs, verified.blob_bytes, verified.num_trees, verified.num_actions);
    assert_eq!((counts, read.into_inner()), ((2, 6, 2, 2), 6));
}

/// Damages one object. It must be found and reported with the affected result, and making that result again must repair it.
fn check(damage: impl Fn(&Store, ActionKey, Digest) -> PathBuf, kind: &str, fault: Fault) {
    let test = TestStore::new();
    let (key, other) = (test.action("x", FILES), test.action("y", &[("d.txt", "three")]));
    let path = damage(&test.store, key, tree(&test, key));
    let found = verified(&test).damage;
    let [found] = &found[..] else { panic!("one damaged object, not {found:?}") };
    let object = serde_json::to_value(found.object).expect("JSON");
    assert_eq!((object["kind"].as_str(), &found.fault), (Some(kind), &fault));
    assert_eq!(found.affected.iter().map(|result| result.key).collect::<Vec<_>>(), [key]);
    assert!(matches!(&found.remedy, Repair::SetAside(to) if to.exists()) && !path.exists(), "{found:?}");
    assert!(!matches!(test.store.find(key), Lookup::Hit(_)));
    assert!(matches!(test.store.find(other), Lookup::Hit(_)));
    assert_eq!(test.action("x", FILES), key);
    assert!(matches!(test.store.find(key), Lookup::Hit(_)));
    let view = test.store.view(tree(&test, key));
    assert_eq!(fs::read_to_string(view.join("a/b.txt")).expect("read"), "one");
    assert!(verified(&test).damage.is_empty(), "repaired");
}

fn flipped(path: PathBuf) -> PathBuf {
    flip(&path);
    path
}

#[test]
fn a_flipped_bit_is_found_and_repaired() {
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
fn a_truncated_blob_or_a_folder_is_damage() {
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

/// `insert` trusts an existing blob of the right size, so that it need not read it. Only after a damaged blob was set aside is it
/// replaced.
#[test]
fn a_damaged_blob_of_the_right_size_is_replaced_after_verify() {
    let test = TestStore::new();
    let key = test.action("x", FILES);
    let blob = test.store.object("blobs", Digest::of(b"one"));
    flip(&blob);
    test.action("x", FILES);
    assert_ne!(fs::read_to_string(&blob).expect("read"), "one", "insert does not replace it");
    assert_eq!(verified(&test).damage.len(), 1);
    assert!(matches!(test.store.find(key), Lookup::Absent));
    test.action("x", FILES);
    assert_eq!(fs::read_to_string(&blob).expect("read"), "one");
}

#[test]
fn a_folder_of_links_is_rebuilt_at_once() {
    let check = |damage: &dyn Fn(&Path), link: &str| {
        let test = TestStore::new();
        let key = test.action("x", FILES);
        let view = test.store.view(tree(&test, key));
        damage(&view);
        let found = verified(&test).damage;
        let [found] = &found[..] else { panic!("one damaged object, not {found:?}") };
        assert_eq!(found.fault, Fault::Link(link.to_owned()));
        assert!(matches!(found.remedy, Repair::Rebuilt(_)) && found.affected.is_empty(), "{found:?}");
        assert!(matches!(test.store.find(key), Lookup::Hit(_)));
        assert_eq!(fs::read_to_string(view.join("a/b.txt")).expect("read"), "one");
        assert!(verified(&test).damage.is_empty());
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
fn missing_objects_are_reported_once_and_their_results_are_absent() {
    let test = TestStore::new();
    let (key, other) = (test.action("x", FILES), test.action("y", &[("d.txt", "three")]));
    fs::remove_file(test.store.object("blobs", Digest::of(b"two"))).expect("removed");
    fs::remove_dir_all(test.store.tree_folder(tree(&test, other))).expect("removed");
    let damage = verified(&test).damage;
    let found: Vec<_> = damage.iter().map(|damage| (&damage.fault, &damage.remedy, damage.affected[0].key)).collect();
    assert_eq!(found, [(&Fault::Missing, &Repair::None, other), (&Fault::Missing, &Repair::None, key)]);
    assert!(verified(&test).damage.is_empty(), "damage that was set aside is not reported again");
    assert!(matches!((test.store.find(key), test.store.find(other)), (Lookup::Absent, Lookup::Absent)));
    test.action("x", FILES);
    test.action("y", &[("d.txt", "three")]);
    assert!(verified(&test).damage.is_empty());
}

#[test]
fn damage_set_aside_earlier_is_kept() {
    let test = TestStore::new();
    let mut paths = BTreeSet::new();
    for _ in 0..3 {
        test.action("x", FILES);
        flip(&test.store.object("blobs", Digest::of(b"one")));
        let Repair::SetAside(to) = verified(&test).damage.remove(0).remedy else { panic!("set aside") };
        paths.insert(to);
    }
    assert!(paths.len() == 3 && paths.iter().all(|path| path.exists()));
}

#[test]
fn an_object_that_can_not_be_moved_is_reported() {
    let test = TestStore::new();
    test.action("x", FILES);
    flip(&test.store.object("blobs", Digest::of(b"one")));
    fs::write(test.store.root.join("damaged"), "in the way").expect("written");
    let damage = verified(&test).damage;
    assert!(matches!(&damage[0].remedy, Repair::Failed(why) if why.contains("damaged")), "{damage:?}");
}
