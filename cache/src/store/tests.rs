//! Writes, finds and loses objects.

use super::*;
use crate::OutputRecord;
use crate::testing::TestStore;

#[test]
fn a_recorded_result_is_found_and_read_through_links() {
    let test = TestStore::new();
    let tree = test.insert(&[("a/b.txt", "one"), ("c.txt", "two")]);
    let mut fields = Fields::default();
    fields.add(["name"], "x");
    let key = fields.key();
    assert!(matches!(test.store.find(key), Lookup::Absent));
    let record = ActionRecord {
        duration_millis: 1,
        ended_unix_secs: 2,
        ..ActionRecord::new(
            "k",
            OutputRecord { tree: tree.digest(), ports: [("all".to_owned(), tree.digest())].into() },
        )
    };
    test.store.record(key, &fields, &record).expect("recorded");
    let Lookup::Hit(found) = test.store.find(key) else { panic!("a hit") };
    assert_eq!(*found, record);
    assert_eq!(test.store.fields(key).expect("read"), Some(fields));
    let view = test.store.view(tree.digest());
    assert_eq!(fs::read_to_string(view.join("a/b.txt")).expect("read"), "one");
    assert_eq!(fs::read_to_string(view.join("c.txt")).expect("read"), "two");
}

#[test]
fn equal_content_is_one_tree_and_a_part_has_its_own_digest() {
    let test = TestStore::new();
    let one = test.insert(&[("a/b.txt", "one"), ("c.txt", "two")]);
    let two = test.insert(&[("a/b.txt", "one"), ("c.txt", "three")]);
    assert_ne!(one.digest(), two.digest());
    let part = |tree: &Tree| tree.part("a").expect("a part").digest();
    assert_eq!(part(&one), part(&two));
    assert!(matches!(one.part("absent"), Err(CacheError::MissingOutput { .. })));
    assert_eq!(test.insert(&[("a/b.txt", "one"), ("c.txt", "two")]), one);
}

#[test]
fn a_lost_object_is_damage_until_the_next_run_restores_it() {
    let test = TestStore::new();
    let key = test.action("x", &[("a.txt", "one")]);
    fs::remove_file(test.store.blob(Digest::of(b"one"))).expect("removed");
    assert!(matches!(test.store.find(key), Lookup::Damaged(CacheError::Lost { .. })));
    test.insert(&[("a.txt", "one")]);
    assert!(matches!(test.store.find(key), Lookup::Hit(_)));
}

#[test]
fn a_record_cut_short_is_damaged() {
    let test = TestStore::new();
    let key = test.action("x", &[("a.txt", "one")]);
    fs::write(test.store.action_path(key, "json"), "{").expect("written");
    assert!(matches!(test.store.find(key), Lookup::Damaged(CacheError::Record { .. })));
}

#[test]
fn stored_files_are_readable_by_other_users() {
    let test = TestStore::new();
    let key = test.action("x", &[("a.txt", "one")]);
    let mask = fs::metadata(test.folder.path().join("output")).expect("a folder").permissions().mode();
    let check = |path: PathBuf, mode: u32| {
        let found = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!(found, mode & mask, "{}", path.display());
    };
    check(test.store.action_path(key, "json"), 0o666);
    let Lookup::Hit(record) = test.store.find(key) else { panic!("a hit") };
    check(test.store.tree_folder(record.output.tree), 0o777);
    check(test.store.blob(Digest::of(b"one")), 0o444);
}

#[test]
fn a_link_is_not_a_valid_output() {
    let test = TestStore::new();
    let output = test.folder.path().join("output");
    fs::create_dir_all(&output).expect("a folder");
    fs::os::unix::fs::symlink("/etc/hostname", output.join("a")).expect("a link");
    assert!(matches!(test.store.insert(&output), Err(CacheError::NotAFile { .. })));
}

#[test]
fn an_empty_output_is_valid() {
    let test = TestStore::new();
    let tree = test.insert(&[]);
    assert!(test.store.view(tree.digest()).is_dir());
}
