//! The suite of checks that every remote must pass.

use crate::test_store::{Bucket, TestStore, noise, object, record_of};
use pipe_cache::remote::{Pulled, PushOptions, Replace};
use pipe_cache::{ActionRecord, CacheError, Digest, Fields, Tree, TreeFile};
use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::Instant;

/// More than two parts of an upload.
const LARGE: usize = 20 << 20;

/// Runs all checks, each in a separate bucket.
pub(crate) fn all(bucket: &dyn Fn(&str) -> Bucket) {
    a_pushed_result_can_be_pulled(&bucket("equal"));
    parts_are_pushed_with_the_whole(&bucket("parts"));
    one_of_two_pushes_wins(&bucket("race"));
    damage_is_found(&bucket("damage"));
    a_hostile_tree_is_refused(&bucket("escape"));
    a_record_must_fit_its_key(&bucket("record"));
    a_damaged_blob_is_not_sent(&bucket("local"));
    pull_all_skips_damaged_results(&bucket("all"));
}

fn a_pushed_result_can_be_pulled(bucket: &Bucket) {
    let (one, two) = (TestStore::new(), TestStore::new());
    let files =
        [("a/b c.txt", b"one".to_vec()), ("a/ü", b"one".to_vec()), ("empty", vec![]), ("large", noise(1, LARGE))];
    let made = one.make("x", &files);
    let empty = one.make("nothing", &[]);
    assert!(matches!(two.pull(bucket, made.key), Pulled::Absent));
    let mut updates = Vec::new();
    let remote = bucket.remote();
    let keys = [made.key, empty.key];
    let pushed =
        remote.push(&one.store, &keys, PushOptions::default(), &mut |progress| updates.push(progress)).expect("pushed");
    assert_eq!((pushed.actions, pushed.had, pushed.absent, pushed.blobs), (2, 0, 0, 3));
    assert_eq!(pushed.bytes, 3 + LARGE as u64);
    assert_eq!(updates.iter().map(|progress| (progress.done, progress.total)).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
    let again = one.push(bucket, &keys);
    assert_eq!((again.actions, again.had, again.blobs, again.bytes), (0, 2, 0, 0));

    let Pulled::Got { bytes, .. } = two.pull(bucket, made.key) else { panic!("not found") };
    assert_eq!(bytes, pushed.bytes);
    two.expect(&made);
    assert!(matches!(two.pull(bucket, empty.key), Pulled::Got { bytes: 0, .. }));
    two.expect(&empty);
    assert_eq!(two.left_over(), [""; 0].map(std::path::PathBuf::from));
    // Content that is already in the store is not fetched again.
    let other = one.make("y", &[("large", noise(1, LARGE)), ("small", b"two".to_vec())]);
    assert_eq!(one.push(bucket, &[other.key]).bytes, 3);
    assert!(matches!(two.pull(bucket, other.key), Pulled::Got { bytes: 3, .. }));
}

fn parts_are_pushed_with_the_whole(bucket: &Bucket) {
    let (one, two) = (TestStore::new(), TestStore::new());
    let part = one.make("part", &[("files/a", b"a".to_vec())]);
    let gone = one.make("gone", &[]).fields.sorted().key();
    let parts = BTreeMap::from([("0".to_owned(), part.key), ("1".to_owned(), Fields::default().key())]);
    let whole = one.make_of("whole", &[("a", b"a".to_vec())], parts, "made");
    let pushed = one.push(bucket, &[whole.key]);
    assert_eq!((pushed.actions, pushed.absent, pushed.blobs), (2, 0, 1), "a missing part is not needed");
    assert!(matches!(two.pull(bucket, whole.key), Pulled::Got { .. }));
    assert!(!two.is_hit(part.key), "only `pull_all` fetches parts");
    let pulled = bucket.remote().pull_all(&two.store, &|_| true, &|_, _, _| true, &mut |_| {}).expect("pulled");
    assert_eq!((pulled.actions, pulled.had), (1, 1));
    two.expect(&part);
    assert!(!two.is_hit(gone));
}

fn one_of_two_pushes_wins(bucket: &Bucket) {
    for round in 0..5 {
        let name = format!("round {round}");
        let places = [TestStore::new(), TestStore::new(), TestStore::new(), TestStore::new()];
        let make = |(number, place): (usize, &TestStore)| {
            place.make_of(&name, &[("a", noise(number as u64, 1000))], BTreeMap::new(), &format!("by {number}"))
        };
        let made: Vec<_> = places.iter().enumerate().map(make).collect();
        let barrier = Barrier::new(places.len());
        let push = |place: &TestStore| {
            let remote = bucket.remote();
            barrier.wait();
            remote.push(&place.store, &[made[0].key], PushOptions::default(), &mut |_| {}).expect("pushed").actions
        };
        let won: Vec<u64> = std::thread::scope(|scope| {
            let pushes: Vec<_> = places.iter().map(|place| scope.spawn(|| push(place))).collect();
            pushes.into_iter().map(|push| push.join().expect("no panic")).collect()
        });
        assert_eq!(won.iter().sum::<u64>(), 1, "{won:?}");
        let winner = won.iter().position(|won| *won == 1).expect("a winner");
        let fresh = TestStore::new();
        assert!(matches!(fresh.pull(bucket, made[0].key), Pulled::Got { .. }));
        fresh.expect(&made[winner]);
    }
}

fn damage_is_found(bucket: &Bucket) {
    let one = TestStore::new();
    let made = one.make("x", &[("a", noise(1, 5000)), ("b", noise(2, 5000))]);
    let blob = object("blobs", made.tree.files[0].digest, "");
    let tree = object("trees", made.tree.digest(), ".json");
    let action = object("actions", made.key, "");
    let check = |damage: &dyn Fn(), expect: &str| {
        bucket
            .remote()
            .push(
                &one.store,
                &[made.key],
                PushOptions { replace: Replace::Always, ..PushOptions::default() },
                &mut |_| {},
            )
            .expect("pushed");
        assert!(matches!(TestStore::new().pull(bucket, made.key), Pulled::Got { .. }), "repaired by the push");
        damage();
        let two = TestStore::new();
        match two.pull(bucket, made.key) {
            Pulled::Damaged(error) => {
                let text = error.to_string();
                assert!(text.contains(expect) && text.contains("v1/"), "{text}");
            }
            other => panic!("{expect}: {other:?}"),
        }
        assert!(!two.is_hit(made.key), "{expect}");
        assert_eq!(two.left_over().len(), 0, "{expect}");
        // Other actions are not affected, and the store is intact.
        let other = two.make("other", &[("a", b"a".to_vec())]);
        two.expect(&other);
    };
    check(&|| bucket.tamper(&blob, |bytes| bytes[2500] ^= 4), "digest");
    check(&|| bucket.tamper(&blob, |bytes| bytes.truncate(2500)), "2500 bytes instead of 5000");
    check(&|| bucket.tamper(&blob, |bytes| bytes.push(0)), "5001 bytes instead of 5000");
    check(&|| bucket.delete(&blob), "missing");
    check(&|| bucket.tamper(&tree, |bytes| bytes.truncate(20)), "invalid format");
    check(&|| bucket.tamper(&tree, |bytes| flip_digit(bytes)), "digest");
    check(&|| bucket.delete(&tree), "missing");
    check(&|| bucket.tamper(&action, |bytes| bytes.truncate(70)), "digest");
    check(&|| bucket.tamper(&action, |bytes| bytes.truncate(7)), "invalid format");
    check(&|| bucket.tamper(&action, |bytes| bytes[100] ^= 1), "digest");
}

/// Changes a size, so that the JSON stays valid.
fn flip_digit(bytes: &mut [u8]) {
    let digit = bytes.iter().rposition(u8::is_ascii_digit).expect("a digit");
    bytes[digit] = if bytes[digit] == b'1' { b'2' } else { b'1' };
}

/// Uploads an action and its objects directly, as a hostile writer would.
fn plant(bucket: &Bucket, fields: &Fields, record: &ActionRecord, tree: &Tree) {
    for file in &tree.files {
        bucket.put(&object("blobs", file.digest, ""), b"evil".to_vec());
    }
    bucket.put(&object("trees", tree.digest(), ".json"), serde_json::to_vec(tree).expect("JSON"));
    plant_action(bucket, fields, record);
}

fn plant_action(bucket: &Bucket, fields: &Fields, record: &ActionRecord) {
    let json = serde_json::to_vec(&serde_json::json!({ "fields": fields, "record": record })).expect("JSON");
    let bytes = [Digest::of(&json).to_string().as_bytes(), b"\n", &json].concat();
    bucket.put(&object("actions", fields.key(), ""), bytes);
}

fn a_hostile_tree_is_refused(bucket: &Bucket) {
    let digest = Digest::of(b"evil");
    let check = |paths: &[&str], size_bytes: u64, expect: &str| {
        let files = paths.iter().map(|path| TreeFile { path: (*path).to_owned(), digest, size_bytes }).collect();
        let tree = Tree { files };
        let mut fields = Fields::default();
        fields.add(["kind"], "k");
        fields.add(["paths"], format!("{paths:?} {size_bytes}"));
        plant(bucket, &fields, &record_of(tree.digest(), BTreeMap::new(), "evil"), &tree);
        let place = TestStore::new();
        match place.pull(bucket, fields.key()) {
            Pulled::Damaged(error) => assert!(error.to_string().contains(expect), "{error}"),
            other => panic!("{paths:?}: {other:?}"),
        }
        assert!(place.has_no_blobs() && !place.is_hit(fields.key()), "{paths:?}");
    };
    for path in ["", "/tmp/evil", "..", "../../../../evil", "a/../../evil", "./a", "a//b", "a/", "a\0b"] {
        check(&[path], 4, "contains the invalid path");
    }
    check(&["a", "a/b"], 4, "contains the invalid path");
    check(&["a", "a"], 4, "contains the invalid path");
    check(&["a"], 5, "4 bytes instead of 5");
    check(&["a"], u64::MAX, "larger than");
}

fn a_record_must_fit_its_key(bucket: &Bucket) {
    let one = TestStore::new();
    let made = one.make("x", &[("a", b"a".to_vec())]);
    one.push(bucket, &[made.key]);
    // The action of another key.
    let other = one.make("other", &[("a", b"b".to_vec())]);
    let place = TestStore::new();
    let bytes = {
        let json = serde_json::to_vec(&serde_json::json!({ "fields": made.fields, "record": made.record }));
        let json = json.expect("JSON");
        [Digest::of(&json).to_string().as_bytes(), b"\n", &json].concat()
    };
    bucket.put(&object("actions", other.key, ""), bytes);
    let Pulled::Damaged(error) = place.pull(bucket, other.key) else { panic!("refused") };
    assert!(error.to_string().contains("fields of another key"), "{error}");
    // A record that the caller rejects.
    let pulled = bucket.remote().pull(&place.store, made.key, &|_, _, _| false).expect("the store works");
    let Pulled::Damaged(error) = pulled else { panic!("refused") };
    assert!(error.to_string().contains("ports"), "{error}");
    assert!(!place.is_hit(made.key));
    // A record with terminal escape sequences.
    let record = ActionRecord { summary: vec!["\u{1b}]0;evil\u{7}".into()], ..made.record.clone() };
    plant_action(bucket, &made.fields, &record);
    let Pulled::Damaged(error) = place.pull(bucket, made.key) else { panic!("refused") };
    assert!(error.to_string().contains("control characters"), "{error}");
}

fn a_damaged_blob_is_not_sent(bucket: &Bucket) {
    for (name, len) in [("small", 100), ("large", LARGE)] {
        let one = TestStore::new();
        let made = one.make(name, &[("a", noise(3, len))]);
        one.flip(made.tree.files[0].digest);
        let pushed = bucket.remote().push(&one.store, &[made.key], PushOptions::default(), &mut |_| {});
        assert!(matches!(pushed, Err(CacheError::Damaged { .. })), "{pushed:?}");
        assert!(matches!(TestStore::new().pull(bucket, made.key), Pulled::Absent));
    }
}

fn pull_all_skips_damaged_results(bucket: &Bucket) {
    let (one, two) = (TestStore::new(), TestStore::new());
    let made: Vec<_> = (0..20).map(|seed| one.make(&format!("{seed}"), &[("a", noise(seed, 100))])).collect();
    let keys: Vec<_> = made.iter().map(|made| made.key).collect();
    one.push(bucket, &keys);
    two.pull(bucket, keys[0]);
    bucket.tamper(&object("blobs", made[1].tree.files[0].digest, ""), |bytes| bytes[0] ^= 1);
    bucket.put("v1/actions/ab/no key", b"x".to_vec());
    let unwanted = &made[2].fields;
    let pulled = bucket.remote().pull_all(&two.store, &|fields| fields != unwanted, &|_, _, _| true, &mut |_| {});
    let pulled = pulled.expect("pulled");
    assert_eq!((pulled.actions, pulled.had, pulled.unwanted, pulled.damaged.len()), (17, 1, 1, 1));
    for (number, made) in made.iter().enumerate() {
        assert_eq!(two.is_hit(made.key), number != 1 && number != 2);
    }
}

/// Measures pushing and pulling many small files and a few large ones.
pub(crate) fn speed(bucket: &Bucket) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, count, len) in [("2,000 files of 20 kB", 2000, 20_000), ("4 files of 64 MB", 4, 64_000_000)] {
        let (one, two) = (TestStore::new(), TestStore::new());
        let files: Vec<_> = (0..count).map(|seed| (format!("{seed:05}"), noise(seed, len))).collect();
        let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
        let made = one.make(name, &files);
        let megabytes = count as f64 * len as f64 / 1e6;
        let mut time = |what: &str, work: &dyn Fn()| {
            let since = Instant::now();
            work();
            let secs = since.elapsed().as_secs_f64();
            lines.push(format!("{name}: {what} {secs:.2} s, {:.0} MB/s", megabytes / secs));
        };
        time("push", &|| assert_eq!(one.push(bucket, &[made.key]).actions, 1));
        time("push again", &|| assert_eq!(one.push(bucket, &[made.key]).actions, 0));
        time("pull", &|| assert!(matches!(two.pull(bucket, made.key), Pulled::Got { .. })));
        two.expect(&made);
    }
    lines
}
