//! [`Prefetch`]: looks up the results that a run will probably ask for, on a thread of its own.
//!
//! Where nothing has changed, keys are those of the lock file. Reading their records takes as long as reading the pipeline
//! file does, and waits for nothing else.

use crate::LockFile;
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, Store};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// Fewer are not worth a thread.
const FEW: usize = 16;

/// Results that arrive together: to wake another thread takes longer than to look up one.
const TOGETHER: usize = 64;

/// Results that are looked up ahead of their time; by default, none are.
#[derive(Debug, Default)]
pub struct Prefetch {
    /// Held from before the first is looked up, so that what was found stays.
    _held: Option<Store>,
    /// What is looked up and was not asked for yet.
    expected: HashSet<ActionKey>,
    arriving: Option<Receiver<Vec<(ActionKey, Lookup)>>>,
    /// What arrived before it was asked for.
    arrived: HashMap<ActionKey, Lookup>,
}

impl Prefetch {
    /// Begins to look up what `lock` names in the store below `root`, if that is there and nobody removes anything from it.
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
        let (sender, receiver) = channel();
        let look_up = move || {
            // Without a receiver nobody wants to know any more.
            let look_up = |keys: &[ActionKey]| keys.iter().map(|key| (*key, store.find(*key))).collect();
            let _ = keys.chunks(TOGETHER).try_for_each(|keys| sender.send(look_up(keys)));
        };
        match thread::Builder::new().name("ahead".into()).spawn(look_up) {
            Ok(_) => Self { _held: Some(held), expected, arriving: Some(receiver), arrived: HashMap::new() },
            // No thread can be started: results are looked up when they are asked for.
            Err(_) => Self::default(),
        }
    }

    /// Returns what the store has. What was not there is looked for again: another run may have made it meanwhile.
    pub(crate) fn find(&mut self, store: &Store, key: ActionKey) -> Lookup {
        match self.take(key) {
            Some(hit @ Lookup::Hit(_)) => hit,
            _ => store.find(key),
        }
    }

    /// Forgets what was looked up: time has passed, and it may be no longer true.
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
        // What another run makes meanwhile is there, too.
        let mut ahead = ahead();
        check(&mut ahead, 199);
        record(&store, folder.path(), 150..151);
        assert!(matches!(ahead.find(&store, key(150)), Lookup::Hit(_)));
    }

    #[test]
    fn what_a_lock_file_names_is_held_while_it_is_looked_up() {
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
