//! Garbage collection: whole results go, oldest last use first, then what no result needs any more. Start with [`plan`].
//!
//! What goes is settled first, as a [`Plan`], and then carried out in an order in which every step leaves a store that
//! holds only whole results: records, then trees, then blobs. Who is killed in between leaves what nothing needs, and
//! the next collection takes that.
//!
//! A result is kept if the caller names its key, or if it is a part of one that is kept. It was last used when its record
//! was written or last touched (a hit touches one that is older than a day), or when what it is a part of was.

use crate::hold::StoreLock;
use crate::inventory::{Counted, Inventory, KnownAction, list_folder, measure_files};
use crate::store::Store;
use crate::{ActionKey, CacheError};
use planner::Planner;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use step::Step;

mod planner;
mod step;

/// What may stay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// So many bytes of results.
    pub max_size_bytes: Option<u64>,
    /// Results used since so long.
    pub max_age: Option<Duration>,
}

/// What goes, and what stays.
#[derive(Debug, Default, Serialize)]
pub struct Plan {
    /// Results that go, in this order.
    pub actions: Vec<RemovedAction>,
    /// Trees, blobs and fields that go without a result: no result needs them.
    pub unreachable: Counted,
    /// What processes that are gone were writing.
    pub leftovers: Counted,
    /// Lock files of actions that nobody runs.
    pub num_locks: u64,
    /// All that goes.
    pub freed_bytes: u64,
    /// Results that stay, with all that they need.
    pub left: Counted,
    /// Those of them that the caller keeps.
    pub kept: Counted,
    /// By how much the store stays larger than was asked for, because of what is kept.
    pub over_bytes: u64,
    #[serde(skip)]
    steps: Vec<Step>,
}

/// A result that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemovedAction {
    /// Its key.
    pub key: ActionKey,
    /// The stage kind.
    pub kind: String,
    /// Why it goes.
    pub reason: Reason,
    /// When it was last used, in seconds since 1970.
    pub last_use_unix_secs: u64,
    /// How long it took to make.
    pub duration_millis: u64,
    /// What goes with it, and with no result before it.
    pub freed_bytes: u64,
}

/// Why a result goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It lacks objects, and is no hit any more.
    Broken,
    /// It was not used for too long.
    Age,
    /// The store is too large, and of those left its last use is the oldest.
    Size,
}

/// Settles what goes from `store` so that `limits` hold at `now`. Results with a key in `keep` stay whatever the limits.
///
/// # Errors
/// [`CacheError::Unreadable`] if something damaged is in the way: what can't be read may need anything.
pub fn plan(store: &Store, limits: &Limits, keep: &BTreeSet<ActionKey>, now: SystemTime) -> Result<Plan, CacheError> {
    plan_from(store, &Inventory::read(store)?, limits, keep, now)
}

pub(crate) fn plan_from(
    store: &Store,
    inventory: &Inventory,
    limits: &Limits,
    keep: &BTreeSet<ActionKey>,
    now: SystemTime,
) -> Result<Plan, CacheError> {
    if let Some(path) = first_unreadable(store, inventory) {
        return Err(CacheError::Unreadable { path });
    }
    let mut planner = Planner::new(inventory);
    planner.sweep();
    planner.drop_results(limits, keep, now);
    let mut plan = planner.plan;
    for (_, path) in list_folder(&store.root.join("tmp"))? {
        let found = measure_files(&path)?;
        plan.leftovers.count += 1;
        plan.leftovers.size_bytes += found.size_bytes;
        plan.steps.push(Step::Leftover(path));
    }
    for (_, path) in list_folder(&store.root.join("locks"))? {
        plan.num_locks += 1;
        plan.steps.push(Step::Lock(path));
    }
    plan.freed_bytes += plan.unreachable.size_bytes + plan.leftovers.size_bytes;
    plan.steps.sort_by_key(Step::rank);
    Ok(plan)
}

/// Removes what `plan` names. The lock shows that nobody uses the store.
pub fn carry_out(store: &Store, _alone: &StoreLock, plan: &Plan) -> Result<(), CacheError> {
    // Disks are slow to remove and good at doing so in several places; only the order of ranks matters.
    let mut ranks = plan.steps.chunk_by(|one, two| one.rank() == two.rank());
    ranks.try_for_each(|steps| steps.par_iter().try_for_each(|step| step.carry_out(store)))
}

/// Returns the first damaged record, or the first damaged list that a record names.
fn first_unreadable(store: &Store, inventory: &Inventory) -> Option<PathBuf> {
    let damaged = |action: &KnownAction| {
        let digest = action.record.output.tree;
        let tree = inventory.trees.get(&digest)?;
        (tree.tree.is_none() && tree.size_bytes > 0).then(|| store.tree_folder(digest).join("tree.json"))
    };
    inventory.unreadable.first().cloned().or_else(|| inventory.actions.values().find_map(damaged))
}

pub(crate) fn unix_secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Space;
    use crate::{Digest, Lookup};
    use fs_err as fs;

    const DAY: Duration = Duration::from_hours(24);

    /// Three results of 1000 bytes each, used 30, 20 and 10 days ago.
    struct Three {
        space: Space,
        now: SystemTime,
        keys: [ActionKey; 3],
    }

    fn three() -> Three {
        #[expect(clippy::disallowed_methods, reason = "a test; no key depends on the time")]
        let (space, now) = (Space::new(), SystemTime::now());
        let keys = [("a", 30), ("b", 20), ("c", 10)].map(|(name, days)| {
            let key = space.action(name, &[("file", &name.repeat(1000))]);
            space.used(key, now - days * DAY);
            key
        });
        Three { space, now, keys }
    }

    impl Three {
        fn plan(&self, limits: Limits, keep: &[ActionKey]) -> Plan {
            plan(&self.space.store, &limits, &keep.iter().copied().collect(), self.now).expect("planned")
        }

        fn collect(&self, limits: Limits, keep: &[ActionKey]) -> Plan {
            let store = &self.space.store;
            let lock = store.lock_alone(|| ()).expect("locked");
            let plan = self.plan(limits, keep);
            carry_out(store, &lock, &plan).expect("carried out");
            plan
        }

        fn hits(&self) -> Vec<bool> {
            let find = |key: &ActionKey| match self.space.store.find(*key) {
                Lookup::Hit(_) => true,
                Lookup::Absent => false,
                Lookup::Damaged(error) => panic!("half a result: {error}"),
            };
            self.keys.iter().map(find).collect()
        }

        fn num_blobs(&self) -> usize {
            crate::inventory::list_objects(&self.space.store.root.join("blobs")).expect("listed").len()
        }
    }

    fn age(days: u32) -> Limits {
        Limits { max_age: Some(days * DAY), ..Limits::default() }
    }

    fn size(max_size_bytes: u64) -> Limits {
        Limits { max_size_bytes: Some(max_size_bytes), ..Limits::default() }
    }

    fn removed(plan: &Plan) -> Vec<(&str, Reason)> {
        plan.actions.iter().map(|action| (action.kind.as_str(), action.reason)).collect()
    }

    #[test]
    fn without_limits_no_result_goes() {
        let three = three();
        let plan = three.collect(Limits::default(), &[]);
        assert_eq!((plan.freed_bytes, plan.left.count), (0, 3));
        assert_eq!(three.hits(), [true, true, true]);
    }

    #[test]
    fn what_was_not_used_for_long_goes_with_all_that_only_it_needs() {
        let three = three();
        let plan = three.collect(age(15), &[]);
        assert_eq!(removed(&plan), [("a", Reason::Age), ("b", Reason::Age)]);
        assert!(plan.actions.iter().all(|action| action.freed_bytes > 1000 && action.duration_millis == 1000));
        assert_eq!(plan.freed_bytes, plan.actions.iter().map(|action| action.freed_bytes).sum::<u64>());
        assert_eq!(three.hits(), [false, false, true]);
        assert_eq!(three.num_blobs(), 1);
        let left = measure_files(&three.space.store.root).expect("measured").size_bytes;
        assert_eq!(plan.left.size_bytes, left, "what is said to be left is what is left");
        assert_eq!(three.collect(age(15), &[]).freed_bytes, 0, "the second time there is nothing to do");
    }

    #[test]
    fn the_oldest_go_until_the_store_is_small_enough() {
        let three = three();
        let whole = three.plan(Limits::default(), &[]).left.size_bytes;
        let plan = three.collect(size(whole - 1), &[]);
        assert_eq!(removed(&plan), [("a", Reason::Size)]);
        assert_eq!(three.hits(), [false, true, true]);
        assert!(plan.left.size_bytes < whole && plan.over_bytes == 0);
    }

    #[test]
    fn what_is_kept_stays_and_it_is_told_when_the_store_stays_too_large() {
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
        let whole = three.space.whole("whole", &files, &[one, two]);
        three.space.used(whole, three.now - 5 * DAY);
        assert_eq!(removed(&three.plan(age(7), &[])), [("c", Reason::Age)], "parts were used when the whole was");
        assert_eq!(removed(&three.plan(size(0), &[whole])), [("c", Reason::Size)], "parts of what is kept are kept");
        assert_eq!(removed(&three.plan(age(1), &[other])).first(), Some(&("whole", Reason::Age)));
        let plan = three.plan(size(three.plan(Limits::default(), &[]).left.size_bytes - 1), &[other]);
        assert_eq!(removed(&plan), [("whole", Reason::Size)], "the whole goes before its parts");
        assert!(plan.actions[0].freed_bytes < 2000, "its parts still need the blobs");
    }

    #[test]
    fn what_is_shared_goes_with_the_last_that_needs_it() {
        let three = three();
        let same = three.space.action("same", &[("file", &"a".repeat(1000))]);
        let plan = three.collect(age(1), &[]);
        assert_eq!(plan.actions.len(), 3);
        assert!(plan.actions[0].freed_bytes < 1000);
        assert!(matches!(three.space.store.find(same), Lookup::Hit(_)));
    }

    #[test]
    fn what_dead_processes_left_goes() {
        let three = three();
        let store = &three.space.store;
        three.space.insert(&[("file", "never recorded")]);
        fs::write(store.root.join("tmp/half"), "1234").expect("written");
        fs::create_dir_all(store.root.join("tmp/folder/below")).expect("made");
        let fields = store.action_path(crate::Fields::default().key(), "fields");
        fs::create_dir_all(crate::store::parent(&fields)).expect("made");
        fs::write(fields, "[]").expect("written");
        drop(store.lock(three.keys[0], || true).expect("locked"));
        let held = store.lock(three.keys[1], || true).expect("locked");
        let plan = three.collect(Limits::default(), &[]);
        assert_eq!((plan.unreachable.count, plan.leftovers.count, plan.num_locks), (3, 2, 2));
        assert_eq!(list_folder(&store.root.join("tmp")).expect("listed").len(), 0);
        assert_eq!(list_folder(&store.root.join("locks")).expect("listed").len(), 1, "one is held");
        assert_eq!((three.num_blobs(), three.hits()), (3, vec![true; 3]));
        drop(held);
    }

    #[test]
    fn a_result_that_lacks_objects_goes_unless_it_is_kept() {
        let three = three();
        let blob = three.space.store.object("blobs", Digest::of("b".repeat(1000).as_bytes()));
        fs::remove_file(blob).expect("removed");
        assert_eq!(removed(&three.plan(Limits::default(), &[three.keys[1]])), []);
        assert_eq!(removed(&three.collect(Limits::default(), &[])), [("b", Reason::Broken)]);
        assert_eq!(three.hits(), [true, false, true]);
    }

    #[test]
    fn nothing_goes_while_a_record_or_a_list_can_t_be_read() {
        let three = three();
        let store = &three.space.store;
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

    /// Whoever is killed after any step leaves whole results only, and the next collection finishes the work.
    #[test]
    fn killed_after_any_step_the_store_holds_whole_results_only() {
        let num_steps = three().plan(age(15), &[]).steps.len();
        assert_eq!(num_steps, 8);
        for killed_after in 0..=num_steps {
            let three = three();
            let plan = three.plan(age(15), &[]);
            for step in &plan.steps[..killed_after] {
                step.carry_out(&three.space.store).expect("a step");
            }
            assert!(three.hits()[2]);
            three.collect(age(15), &[]);
            assert_eq!(three.hits(), [false, false, true], "killed after {killed_after} steps");
            assert_eq!(three.num_blobs(), 1);
            let root = &three.space.store.root;
            let files = measure_files(root).expect("measured").count;
            assert_eq!(files, 6, "the lock, and the record, fields, list, link and blob of one result");
        }
    }

    /// A folder is not removed at once: what is left of it in `tmp` is no tree, and can be written again.
    #[test]
    fn a_tree_that_went_can_be_made_again() {
        let three = three();
        three.collect(age(1), &[]);
        let key = three.space.action("a", &[("file", &"a".repeat(1000))]);
        let Lookup::Hit(record) = three.space.store.find(key) else { panic!("a hit") };
        let file = three.space.store.view(record.output.tree).join("file");
        assert_eq!(fs::read(file).expect("read").len(), 1000);
    }
}
