//! [`Prefetch`]: looks up the results that a run will probably need, on a separate thread.
//!
//! If nothing has changed, the keys are those in the lock file. Reading their records takes about as long as reading the pipeline
//! file, and can run at the same time.

use crate::LockFile;
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, Store};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// For fewer keys, a thread does not pay off.
const FEW: usize = 16;

/// Number of results that are sent together: waking a thread takes longer than one lookup.
const TOGETHER: usize = 64;

/// Results that are looked up in advance; by default, none.
#[derive(Debug, Default)]
pub struct Prefetch {
    /// Held from before the first lookup, so that no found result is removed.
    _held: Option<Store>,
    /// Keys that are being looked up and were not requested yet.
    expected: HashSet<ActionKey>,
    arriving: Option<Receiver<Vec<(ActionKey, Lookup)>>>,
    /// Results that arrived before they were requested.
    arrived: HashMap<ActionKey, Lookup>,
}

impl Prefetch {
    /// Starts to look up the keys of `lock` in the store below `root`, unless there is no store or its garbage is being collected.
    pub fn start(root: &Path, lock: &LockFile) -> Self {
        let keys: Vec<ActionKey> = lock.0.values().map(|locked| locked.key).collect();
        if keys.len() < FEW {
            return Self::default();
        }
        let held = Store::open_existing(root).and_then(Store::hold_if_free).ok().flatten();
        held.map_or_else(Self::default, |store| Self::look_up(store, keys))
    }

    fn look_up(held: Store, keys: Vec<ActionKey>) -> Self {
        let (expected, store) = (keys.iter().copied().collect(), held.clone());
        let (sender, receiver) = sync_channel(keys.len().div_ceil(TOGETHER));
        let look_up = move || {
            // Without a receiver, the results are not needed any more.
            let look_up = |keys: &[ActionKey]| keys.iter().map(|key| (*key, store.find(*key))).collect();
            let _ = keys.chunks(TOGETHER).try_for_each(|keys| sender.send(look_up(keys)));
        };
        match thread::Builder::new().name("prefetch".into()).spawn(look_up) {
            Ok(_) => Self { _held: Some(held), expected, arriving: Some(receiver), arrived: HashMap::new() },
            // No thread can be started: results are looked up when they are requested.
            Err(_) => Self::default(),
        }
    }

    /// Returns what the store has. A result that was missing is looked up again: another run may have made it.
    pub(crate) fn find(&mut self, store: &Store, key: ActionKey) -> Lookup {
        match self.take(key) {
            Some(hit @ Lookup::Hit(_)) => hit,
            _ => store.find(key),
        }
    }

    /// Drops all looked-up results, because they may be outdated after time has passed.
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    fn take(&mut self, key: ActionKey) -> Option<Lookup> {
        if !self.expected.remove(&key) {
            return None;
        }
        while !self.arrived.contains_key(&key) {
            self.arrived.extend(self.arriving.as_ref()?.recv().ok()?);
        }
        self.arrived.remove(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Locked;
    use pipe_cache::{ActionRecord, Digest, Fields, OutputRecord};
    use std::collections::BTreeMap;
    use std::path::Path;

    fn fields(number: usize) -> Fields {
        let mut fields = Fields::default();
        fields.add(["number"], number.to_string());
        fields
    }

    fn key(number: usize) -> ActionKey {
        fields(number).key()
    }

    /// Records actions with these numbers, each with a result of its own.
    fn record(store: &Store, folder: &Path, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let output = folder.join(format!("output {number}"));
            fs_err::create_dir(&output).expect("a folder");
            fs_err::write(output.join("file"), number.to_string()).expect("written");
            let tree = store.insert(&output).expect("inserted").digest();
            let record = ActionRecord {
                kind: "command".into(),
                output: OutputRecord { tree, ports: BTreeMap::new() },
                parts: BTreeMap::new(),
                state: None,
                environment: BTreeMap::new(),
                figures: BTreeMap::new(),
                summary: vec![number.to_string()],
                warnings: Vec::new(),
                duration_millis: 0,
                peak_memory_bytes: None,
                ended_unix_secs: 0,
            };
            store.record(key(number), &fields(number), &record).expect("recorded");
        }
    }

    #[test]
    fn each_key_has_its_own_result_in_any_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("opened");
        record(&store, folder.path(), 0..100);
        let ahead = || Prefetch::look_up(store.clone(), (0..200).map(key).collect());
        let check = |ahead: &mut Prefetch, number: usize| match ahead.find(&store, key(number)) {
            Lookup::Hit(record) => assert_eq!(record.summary, [number.to_string()]),
            other => assert!(number >= 100 && matches!(other, Lookup::Absent), "{number}: {other:?}"),
        };
        let mut waited = ahead();
        // The last first: all others have to arrive.
        check(&mut waited, 199);
        assert_eq!(waited.arrived.len(), 199);
        (0..205).for_each(|number| check(&mut waited, number));
        assert!(waited.arrived.is_empty() && waited.expected.is_empty());
        let mut stopped = ahead();
        stopped.stop();
        check(&mut stopped, 3);
        // A result that another run made in between is found, too.
        let mut ahead = ahead();
        check(&mut ahead, 199);
        record(&store, folder.path(), 150..151);
        assert!(matches!(ahead.find(&store, key(150)), Lookup::Hit(_)));
    }

    #[test]
    fn the_store_is_held_while_results_are_looked_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let locked = |number| Locked::exact(key(number), Digest::of(b"any"));
        let lock = LockFile((0..50).map(|number| (number.to_string(), locked(number))).collect());
        assert!(Prefetch::start(folder.path(), &lock).arriving.is_none(), "there is no store");
        let store = Store::open(folder.path()).expect("opened");
        record(&store, folder.path(), 0..50);
        drop(store.clone().hold(|| ()).expect("held, as by the run that made them"));
        let mut ahead = Prefetch::start(folder.path(), &lock);
        assert!(store.is_held());
        assert!(matches!(ahead.find(&store, key(7)), Lookup::Hit(_)));
        drop(ahead);
        let _alone = store.lock_alone(|| ()).expect("locked, once its thread has ended");
        assert!(Prefetch::start(folder.path(), &lock).arriving.is_none(), "garbage is being collected");
    }
}
