//! Deletes by age and size, and is interrupted after each step.

use super::*;
use crate::testing::TestStore;
use crate::{Digest, Lookup};
use fs_err as fs;

const DAY: Duration = Duration::from_hours(24);

/// Three results of 1000 bytes each, used 30, 20 and 10 days ago.
struct Three {
    test: TestStore,
    now: SystemTime,
    keys: [ActionKey; 3],
}

fn three() -> Three {
    #[expect(clippy::disallowed_methods, reason = "a test; no key depends on the time")]
    let (test, now) = (TestStore::new(), SystemTime::now());
    let keys = [("a", 30), ("b", 20), ("c", 10)].map(|(name, days)| {
        let key = test.action(name, &[("file", &name.repeat(1000))]);
        test.set_last_use(key, now - days * DAY);
        key
    });
    Three { test, now, keys }
}

impl Three {
    fn plan(&self, limits: GcLimits, keep: &[ActionKey]) -> GcPlan {
        plan(&self.test.store, &limits, &keep.iter().copied().collect(), self.now).expect("planned")
    }

    fn collect(&self, limits: GcLimits, keep: &[ActionKey]) -> GcPlan {
        let store = &self.test.store;
        let lock = store.lock_alone(|| ()).expect("locked");
        let plan = self.plan(limits, keep);
        carry_out(store, &lock, &plan).expect("carried out");
        plan
    }

    fn hits(&self) -> Vec<bool> {
        let find = |key: &ActionKey| match self.test.store.find(*key) {
            Lookup::Hit(_) => true,
            Lookup::Absent => false,
            Lookup::Damaged(error) => panic!("an incomplete result: {error}"),
        };
        self.keys.iter().map(find).collect()
    }

    fn num_blobs(&self) -> usize {
        crate::inventory::list_objects(&self.test.store.root.join("blobs")).expect("listed").len()
    }
}

fn age(days: u32) -> GcLimits {
    GcLimits { max_age: Some(days * DAY), ..GcLimits::default() }
}

fn size(max_size_bytes: u64) -> GcLimits {
    GcLimits { max_size_bytes: Some(max_size_bytes), ..GcLimits::default() }
}

fn removed(plan: &GcPlan) -> Vec<(&str, RemovalReason)> {
    plan.actions.iter().map(|action| (action.kind.as_str(), action.reason)).collect()
}

#[test]
fn without_limits_all_results_remain() {
    let three = three();
    let plan = three.collect(GcLimits::default(), &[]);
    assert_eq!((plan.freed_bytes, plan.left.count), (0, 3));
    assert_eq!(three.hits(), [true, true, true]);
}

#[test]
fn old_results_are_deleted_with_the_objects_only_they_need() {
    let three = three();
    let plan = three.collect(age(15), &[]);
    assert_eq!(removed(&plan), [("a", RemovalReason::Age), ("b", RemovalReason::Age)]);
    assert!(plan.actions.iter().all(|action| action.freed_bytes > 1000 && action.duration_millis == 1000));
    assert_eq!(plan.freed_bytes, plan.actions.iter().map(|action| action.freed_bytes).sum::<u64>());
    assert_eq!(three.hits(), [false, false, true]);
    assert_eq!(three.num_blobs(), 1);
    let left = measure_files(&three.test.store.root).expect("measured").size_bytes;
    assert_eq!(plan.left.size_bytes, left, "the plan counts what remains");
    assert_eq!(three.collect(age(15), &[]).freed_bytes, 0, "nothing remains to be deleted");
}

#[test]
fn the_oldest_are_deleted_until_the_store_is_small_enough() {
    let three = three();
    let whole = three.plan(GcLimits::default(), &[]).left.size_bytes;
    let plan = three.collect(size(whole - 1), &[]);
    assert_eq!(removed(&plan), [("a", RemovalReason::Size)]);
    assert_eq!(three.hits(), [false, true, true]);
    assert!(plan.left.size_bytes < whole && plan.over_bytes == 0);
}

#[test]
fn kept_results_remain_and_the_excess_is_reported() {
    let three = three();
    let plan = three.collect(size(0), &three.keys[..1]);
    assert_eq!(three.hits(), [true, false, false]);
    assert_eq!((plan.left, plan.over_bytes), (plan.kept, plan.kept.size_bytes));
    assert!(plan.kept.size_bytes > 1000);
}

#[test]
fn parts_stay_with_what_is_put_together_from_them() {
    let three = three();
    let [one, two, other] = three.keys;
    let files = [("file", "a".repeat(1000)), ("more", "b".repeat(1000))];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let whole = three.test.assembled("whole", &files, &[one, two]);
    three.test.set_last_use(whole, three.now - 5 * DAY);
    assert_eq!(removed(&three.plan(age(7), &[])), [("c", RemovalReason::Age)], "parts were used when the whole was");
    assert_eq!(removed(&three.plan(size(0), &[whole])), [("c", RemovalReason::Size)], "parts of what is kept are kept");
    assert_eq!(removed(&three.plan(age(1), &[other])).first(), Some(&("whole", RemovalReason::Age)));
    let plan = three.plan(size(three.plan(GcLimits::default(), &[]).left.size_bytes - 1), &[other]);
    assert_eq!(removed(&plan), [("whole", RemovalReason::Size)], "the whole goes before its parts");
    assert!(plan.actions[0].freed_bytes < 2000, "its parts still need the blobs");
}

#[test]
fn shared_objects_are_deleted_with_the_last_result() {
    let three = three();
    let same = three.test.action("same", &[("file", &"a".repeat(1000))]);
    let plan = three.collect(age(1), &[]);
    assert_eq!(plan.actions.len(), 3);
    assert!(plan.actions[0].freed_bytes < 1000);
    assert!(matches!(three.test.store.find(same), Lookup::Hit(_)));
}

#[test]
fn leftovers_of_killed_processes_are_deleted() {
    let three = three();
    let store = &three.test.store;
    three.test.insert(&[("file", "never recorded")]);
    fs::write(store.root.join("tmp/half"), "1234").expect("written");
    fs::create_dir_all(store.root.join("tmp/folder/below")).expect("made");
    let fields = store.action_path(crate::Fields::default().key(), "fields");
    fs::create_dir_all(crate::store::parent(&fields)).expect("made");
    fs::write(fields, "[]").expect("written");
    drop(store.lock(three.keys[0], || true).expect("locked"));
    let held = store.lock(three.keys[1], || true).expect("locked");
    let plan = three.collect(GcLimits::default(), &[]);
    assert_eq!((plan.unreachable.count, plan.leftovers.count, plan.num_locks), (3, 2, 2));
    assert_eq!(list_folder(&store.root.join("tmp")).expect("listed").len(), 0);
    assert_eq!(list_folder(&store.root.join("locks")).expect("listed").len(), 1, "one is held");
    assert_eq!((three.num_blobs(), three.hits()), (3, vec![true; 3]));
    drop(held);
}

#[test]
fn an_incomplete_result_is_deleted_unless_it_is_kept() {
    let three = three();
    let blob = three.test.store.object("blobs", Digest::of("b".repeat(1000).as_bytes()));
    fs::remove_file(blob).expect("removed");
    assert_eq!(removed(&three.plan(GcLimits::default(), &[three.keys[1]])), []);
    assert_eq!(removed(&three.collect(GcLimits::default(), &[])), [("b", RemovalReason::Broken)]);
    assert_eq!(three.hits(), [true, false, true]);
}

#[test]
fn nothing_is_deleted_while_a_record_or_a_list_is_damaged() {
    let three = three();
    let store = &three.test.store;
    let check = |path: PathBuf| {
        let right = fs::read(&path).expect("read");
        fs::write(&path, "{").expect("written");
        let error = plan(store, &age(1), &BTreeSet::new(), three.now).expect_err("refused");
        assert!(matches!(&error, CacheError::Unreadable { path: named } if *named == path), "{error}");
        fs::write(&path, right).expect("written");
    };
    check(store.action_path(three.keys[0], "json"));
    let Lookup::Hit(record) = store.find(three.keys[1]) else { panic!("a hit") };
    check(store.tree_folder(record.output.tree).join("tree.json"));
}

/// If a collection is killed after any step, only complete results remain, and the next collection finishes the work.
#[test]
fn a_collection_killed_after_any_step_leaves_complete_results() {
    let num_steps = three().plan(age(15), &[]).steps.len();
    assert_eq!(num_steps, 8);
    for killed_after in 0..=num_steps {
        let three = three();
        let plan = three.plan(age(15), &[]);
        for step in &plan.steps[..killed_after] {
            step.carry_out(&three.test.store).expect("a step");
        }
        assert!(three.hits()[2]);
        three.collect(age(15), &[]);
        assert_eq!(three.hits(), [false, false, true], "killed after {killed_after} steps");
        assert_eq!(three.num_blobs(), 1);
        let root = &three.test.store.root;
        let files = measure_files(root).expect("measured").count;
        assert_eq!(files, 6, "the lock, and the record, fields, list, link and blob of one result");
    }
}

/// The folder of a tree is deleted file by file in `tmp`, so the tree can be written again in the meantime.
#[test]
fn a_deleted_tree_can_be_made_again() {
    let three = three();
    three.collect(age(1), &[]);
    let key = three.test.action("a", &[("file", &"a".repeat(1000))]);
    let Lookup::Hit(record) = three.test.store.find(key) else { panic!("a hit") };
    let file = three.test.store.view(record.output.tree).join("file");
    assert_eq!(fs::read(file).expect("read").len(), 1000);
}
