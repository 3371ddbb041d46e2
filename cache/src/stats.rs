//! [`Stats`]: the contents of the store, the time it took to make them, and the space that could be freed.

use crate::gc::{self, unix_secs};
use crate::inventory::{Counted, Inventory, KnownAction, measure_files};
use crate::store::Store;
use crate::{ActionKey, CacheError};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// The contents of the store.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// File contents.
    pub blobs: Counted,
    /// Lists of files, without their contents.
    pub trees: Counted,
    /// Results by stage kind.
    pub kinds: BTreeMap<String, KindStats>,
    /// The results of all kinds together.
    pub total: KindStats,
    /// Total size of all outputs, divided by the size of the blobs that contain them.
    pub dedup_ratio: f64,
    /// The least recently used result.
    pub oldest: Option<Oldest>,
    /// Files of damaged objects that `verify` set aside. Garbage collection deletes them.
    pub damaged: Counted,
    /// Number of records that can't be read.
    pub num_unreadable: u64,
    /// Bytes that garbage collection without limits would free. `None` if a damaged record prevents it.
    pub reclaimable_bytes: Option<u64>,
}

/// The results of one stage kind.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct KindStats {
    /// Number of results.
    pub count: u64,
    /// Total size of their outputs and kept states, with shared content counted each time.
    pub output_bytes: u64,
    /// Total time it took to make them. The time of a part counts once.
    pub duration_millis: u64,
}

/// The least recently used result.
#[derive(Debug, Serialize)]
pub struct Oldest {
    /// The action key.
    pub key: ActionKey,
    /// The stage kind.
    pub kind: String,
    /// Time of the last use, in seconds since 1970.
    pub last_use_unix_secs: u64,
}

/// Counts the contents of `store`. Results whose keys are in `keep` do not count as reclaimable.
pub fn stats(store: &Store, keep: &BTreeSet<ActionKey>) -> Result<Stats, CacheError> {
    let inventory = Inventory::read(store)?;
    #[expect(clippy::disallowed_methods, reason = "ages are counted from now; no key depends on it")]
    let reclaimable = match gc::plan_from(store, &inventory, &gc::GcLimits::default(), keep, SystemTime::now()) {
        Ok(plan) => Some(plan.freed_bytes),
        Err(CacheError::Unreadable { .. }) => None,
        Err(error) => return Err(error),
    };
    let mut kinds: BTreeMap<String, KindStats> = BTreeMap::new();
    let mut total = KindStats::default();
    let mut needed = BTreeMap::new();
    for action in inventory.actions.values() {
        let mut output_bytes = 0;
        for tree in action.record.trees().filter_map(|tree| inventory.trees.get(&tree)) {
            output_bytes += tree.tree.as_ref().map_or(0, crate::Tree::size_bytes);
            needed.extend(tree.blobs());
        }
        for stats in [kinds.entry(action.record.kind.clone()).or_default(), &mut total] {
            stats.count += 1;
            stats.output_bytes += output_bytes;
            stats.duration_millis += own_millis(&inventory, action);
        }
    }
    let needed_bytes: u64 = needed.values().sum();
    let oldest = inventory.actions.iter().min_by_key(|(_, action)| action.last_use);
    Ok(Stats {
        blobs: sum(inventory.blobs.values().copied()),
        trees: sum(inventory.trees.values().map(|tree| tree.size_bytes)),
        dedup_ratio: if needed_bytes == 0 { 1.0 } else { total.output_bytes as f64 / needed_bytes as f64 },
        kinds,
        total,
        oldest: oldest.map(|(key, action)| Oldest {
            key: *key,
            kind: action.record.kind.clone(),
            last_use_unix_secs: unix_secs(action.last_use),
        }),
        damaged: measure_files(&store.root.join("damaged"))?,
        num_unreadable: inventory.unreadable.len() as u64,
        reclaimable_bytes: reclaimable,
    })
}

/// Returns the time that it took to make a result, without that of its parts, which are results too.
fn own_millis(inventory: &Inventory, action: &KnownAction) -> u64 {
    let parts = action.record.parts.values().filter_map(|key| inventory.actions.get(key));
    action.record.duration_millis.saturating_sub(parts.map(|part| part.record.duration_millis).sum())
}

fn sum(sizes: impl Iterator<Item = u64>) -> Counted {
    let mut counted = Counted::default();
    sizes.for_each(|size_bytes| counted.add(size_bytes));
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestStore;
    use std::time::Duration;

    #[test]
    fn shared_content_is_one_blob_but_counts_in_each_output() {
        let test = TestStore::new();
        let first = test.action("a", &[("one", "1234"), ("two", "12")]);
        test.action("b", &[("one", "1234"), ("other", "12")]);
        test.insert(&[("file", "never recorded")]);
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        test.set_last_use(first, long_ago);
        let stats = stats(&test.store, &BTreeSet::new()).expect("counted");
        assert_eq!(stats.blobs, Counted { count: 3, size_bytes: 6 + 14 });
        assert_eq!(stats.trees.count, 3);
        assert_eq!(stats.total, KindStats { count: 2, output_bytes: 12, duration_millis: 2000 });
        assert_eq!(stats.kinds["a"], KindStats { count: 1, output_bytes: 6, duration_millis: 1000 });
        assert!((stats.dedup_ratio - 2.0).abs() < 1e-9);
        let oldest = stats.oldest.expect("one");
        assert_eq!((oldest.key, oldest.last_use_unix_secs), (first, 1000));
        assert!(stats.reclaimable_bytes.is_some_and(|bytes| bytes > 14), "an output without a record");
    }

    #[test]
    fn the_time_of_parts_counts_once() {
        let test = TestStore::new();
        let (one, two) = (test.action("one", &[("one", "1")]), test.action("two", &[("two", "2")]));
        test.lasting("whole", 2500, &[one, two]);
        // The parts were there already.
        test.lasting("again", 10, &[one, two]);
        let stats = stats(&test.store, &BTreeSet::new()).expect("counted");
        assert_eq!(stats.total.duration_millis, 1000 + 1000 + 500);
        assert_eq!((stats.kinds["whole"].duration_millis, stats.kinds["again"].duration_millis), (500, 0));
    }

    #[test]
    fn an_empty_store_has_stats() {
        let test = TestStore::new();
        let stats = stats(&test.store, &BTreeSet::new()).expect("counted");
        assert_eq!((stats.total.count, stats.reclaimable_bytes, stats.oldest.is_none()), (0, Some(0), true));
    }
}
