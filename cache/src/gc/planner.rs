//! [`Planner`]: decides which results and objects to delete. Works on an inventory, never on the store.

use super::step::Step;
use super::{GcLimits, GcPlan, RemovalReason, RemovedAction, unix_secs};
use crate::inventory::{Counted, Inventory, KnownAction, KnownTree};
use crate::{ActionKey, Digest};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

pub(super) struct Planner<'a> {
    inventory: &'a Inventory,
    /// Number of results that need each tree.
    tree_uses: BTreeMap<Digest, usize>,
    /// Number of those trees that need each blob.
    blob_uses: BTreeMap<Digest, usize>,
    pub(super) plan: GcPlan,
}

impl<'a> Planner<'a> {
    pub(super) fn new(inventory: &'a Inventory) -> Self {
        let mut plan = GcPlan::default();
        let (mut tree_uses, mut blob_uses) = (BTreeMap::new(), BTreeMap::new());
        for action in inventory.actions.values() {
            plan.left.add(action.size_bytes);
            for tree in action.record.trees() {
                *tree_uses.entry(tree).or_insert(0) += 1;
            }
        }
        for tree in tree_uses.keys().filter_map(|digest| inventory.trees.get(digest)) {
            plan.left.size_bytes += tree.size_bytes;
            for blob in tree.blobs().into_keys() {
                *blob_uses.entry(blob).or_insert(0) += 1;
            }
        }
        let sizes = blob_uses.keys().filter_map(|blob| inventory.blobs.get(blob));
        plan.left.size_bytes += sizes.sum::<u64>();
        Self { inventory, tree_uses, blob_uses, plan }
    }

    /// Deletes objects that no result needs.
    pub(super) fn sweep(&mut self) {
        let plan = &mut self.plan;
        for (key, size_bytes) in &self.inventory.stray_fields {
            plan.unreachable.add(*size_bytes);
            plan.steps.push(Step::Fields(*key));
        }
        for (digest, tree) in self.inventory.trees.iter().filter(|(digest, _)| !self.tree_uses.contains_key(digest)) {
            plan.unreachable.add(tree.size_bytes);
            plan.steps.push(Step::Tree(*digest));
        }
        for (digest, size_bytes) in self.inventory.blobs.iter().filter(|(blob, _)| !self.blob_uses.contains_key(blob)) {
            plan.unreachable.add(*size_bytes);
            plan.steps.push(Step::Blob(*digest));
        }
    }

    /// Deletes results, the least recently used first, until the limits are met.
    pub(super) fn drop_results(&mut self, limits: &GcLimits, keep: &BTreeSet<ActionKey>, now: SystemTime) {
        let keep = self.inventory.with_parts(keep);
        let uses = last_uses(self.inventory);
        let parts: BTreeSet<ActionKey> =
            self.inventory.actions.values().flat_map(|action| action.record.parts.values().copied()).collect();
        // If a result and its parts have the same last use, the result is deleted first: it can be assembled from its parts.
        let mut oldest_first: Vec<(SystemTime, bool, ActionKey)> = uses
            .iter()
            .filter(|(key, _)| !keep.contains(key))
            .map(|(key, last_use)| (*last_use, parts.contains(key), *key))
            .collect();
        oldest_first.sort();
        for (last_use, _, key) in oldest_first {
            let too_old = |max_age| now.duration_since(last_use).is_ok_and(|age| age >= max_age);
            let reason = if !self.inventory.is_complete(&self.inventory.actions[&key]) {
                RemovalReason::Broken
            } else if limits.max_age.is_some_and(too_old) {
                RemovalReason::Age
            } else if limits.max_size_bytes.is_some_and(|max| self.plan.left.size_bytes > max) {
                RemovalReason::Size
            } else {
                continue;
            };
            self.drop_result(key, last_use, reason);
        }
        self.plan.over_bytes = limits.max_size_bytes.map_or(0, |max| self.plan.left.size_bytes.saturating_sub(max));
        self.plan.kept = self.count_kept(&keep);
    }

    fn drop_result(&mut self, key: ActionKey, last_use: SystemTime, reason: RemovalReason) {
        let action = &self.inventory.actions[&key];
        let mut freed_bytes = action.size_bytes;
        self.plan.steps.extend([Step::Record(key), Step::Fields(key)]);
        freed_bytes += action.record.trees().map(|tree| self.drop_tree(tree)).sum::<u64>();
        self.plan.freed_bytes += freed_bytes;
        self.plan.left.count -= 1;
        self.plan.left.size_bytes -= freed_bytes;
        self.plan.actions.push(RemovedAction {
            key,
            kind: action.record.kind.clone(),
            reason,
            last_use_unix_secs: unix_secs(last_use),
            duration_millis: action.record.duration_millis,
            freed_bytes,
        });
    }

    /// Takes one use of a tree away. Returns the bytes that go with it, if that was the last one.
    fn drop_tree(&mut self, digest: Digest) -> u64 {
        let Some(tree) = self.inventory.trees.get(&digest) else { return 0 };
        if !is_last(&mut self.tree_uses, digest) {
            return 0;
        }
        let mut freed_bytes = tree.size_bytes;
        self.plan.steps.push(Step::Tree(digest));
        for blob in tree.blobs().into_keys() {
            if let Some(size_bytes) = self.inventory.blobs.get(&blob)
                && is_last(&mut self.blob_uses, blob)
            {
                freed_bytes += size_bytes;
                self.plan.steps.push(Step::Blob(blob));
            }
        }
        freed_bytes
    }

    fn count_kept(&self, keep: &BTreeSet<ActionKey>) -> Counted {
        let mut kept = Counted::default();
        let (mut trees, mut blobs) = (BTreeMap::new(), BTreeMap::new());
        for action in keep.iter().filter_map(|key| self.inventory.actions.get(key)) {
            kept.add(action.size_bytes);
            trees.extend(action.record.trees().filter_map(|tree| self.inventory.trees.get_key_value(&tree)));
        }
        for tree in trees.values() {
            kept.size_bytes += tree.size_bytes;
            blobs.extend(KnownTree::blobs(tree));
        }
        kept.size_bytes += blobs.values().sum::<u64>();
        kept
    }
}

/// Returns the last use of each result, also as a part of another result.
fn last_uses(inventory: &Inventory) -> BTreeMap<ActionKey, SystemTime> {
    let mut newest_first: Vec<(&ActionKey, &KnownAction)> = inventory.actions.iter().collect();
    newest_first.sort_by_key(|(_, action)| std::cmp::Reverse(action.last_use));
    let mut uses = BTreeMap::new();
    for (key, action) in newest_first {
        let mut open = vec![*key];
        while let Some(key) = open.pop() {
            if let Some(part) = inventory.actions.get(&key)
                && !uses.contains_key(&key)
            {
                uses.insert(key, action.last_use);
                open.extend(part.record.parts.values());
            }
        }
    }
    uses
}

/// Removes one use, and returns whether it was the last.
fn is_last(uses: &mut BTreeMap<Digest, usize>, digest: Digest) -> bool {
    let Some(uses) = uses.get_mut(&digest) else { return false };
    *uses -= 1;
    *uses == 0
}
