//! [`Stats`]: what the store holds, what it cost to make, and what of it nobody needs.

use crate::gc::{self, unix_secs};
use crate::inventory::{Counted, Inventory, measure_files};
use crate::store::Store;
use crate::{ActionKey, CacheError};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// What the store holds.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// File contents.
    pub blobs: Counted,
    /// Lists of files, without their contents.
    pub trees: Counted,
    /// Results by stage kind.
    pub kinds: BTreeMap<String, KindStats>,
    /// All results.
    pub total: KindStats,
    /// Bytes of all outputs, over the bytes of the blobs that hold them.
    pub dedup_ratio: f64,
    /// The result whose last use is longest ago.
    pub oldest: Option<Oldest>,
    /// Files of what was found damaged and set aside. Nothing removes them; they may be deleted by hand.
    pub damaged: Counted,
    /// Records that can't be read.
    pub num_unreadable: u64,
    /// What garbage collection without limits would free; `None` where something unreadable is in its way.
    pub reclaimable_bytes: Option<u64>,
}

/// Results of one kind.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct KindStats {
    /// How many.
    pub count: u64,
    /// Bytes of their outputs and kept states, each counted in full.
    pub output_bytes: u64,
    /// How long they took to make.
    pub duration_millis: u64,
}

/// The result whose last use is longest ago.
#[derive(Debug, Serialize)]
pub struct Oldest {
    /// Its key.
    pub key: ActionKey,
    /// Its stage kind.
    pub kind: String,
    /// In seconds since 1970.
    pub last_use_unix_secs: u64,
}

/// Counts what `store` holds. Results with a key in `keep` are not taken for reclaimable.
pub fn stats(store: &Store, keep: &BTreeSet<ActionKey>) -> Result<Stats, CacheError> {
    let inventory = Inventory::read(store)?;
    #[expect(clippy::disallowed_methods, reason = "ages are counted from now; no key depends on it")]
    let reclaimable = match gc::plan_from(store, &inventory, &gc::Limits::default(), keep, SystemTime::now()) {
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
            stats.duration_millis += action.record.duration_millis;
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

fn sum(sizes: impl Iterator<Item = u64>) -> Counted {
    let mut counted = Counted::default();
    sizes.for_each(|size_bytes| counted.add(size_bytes));
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Space;
    use std::time::Duration;

    #[test]
    fn what_is_shared_is_counted_once_as_blob_and_in_full_as_output() {
        let space = Space::new();
        let first = space.action("a", &[("one", "1234"), ("two", "12")]);
        space.action("b", &[("one", "1234"), ("other", "12")]);
        space.insert(&[("file", "never recorded")]);
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        space.used(first, long_ago);
        let stats = stats(&space.store, &BTreeSet::new()).expect("counted");
        assert_eq!(stats.blobs, Counted { count: 3, size_bytes: 6 + 14 });
        assert_eq!(stats.trees.count, 3);
        assert_eq!(stats.total, KindStats { count: 2, output_bytes: 12, duration_millis: 2000 });
        assert_eq!(stats.kinds["a"], KindStats { count: 1, output_bytes: 6, duration_millis: 1000 });
        assert!((stats.dedup_ratio - 2.0).abs() < 1e-9);
        let oldest = stats.oldest.expect("one");
        assert_eq!((oldest.key, oldest.last_use_unix_secs), (first, 1000));
        assert!(stats.reclaimable_bytes.is_some_and(|bytes| bytes > 14), "an output that nobody recorded");
    }

    #[test]
    fn an_empty_store_has_stats() {
        let space = Space::new();
        let stats = stats(&space.store, &BTreeSet::new()).expect("counted");
        assert_eq!((stats.total.count, stats.reclaimable_bytes, stats.oldest.is_none()), (0, Some(0), true));
    }
}
