//! [`TestStore`]: a store in a temporary folder, with made-up results.

use crate::store::parent;
use crate::{ActionKey, ActionRecord, Fields, OutputRecord, Store, Tree};
use fs_err as fs;
use std::collections::BTreeMap;
use std::time::SystemTime;

pub(crate) struct TestStore {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        Self { folder, store }
    }

    pub(crate) fn insert(&self, files: &[(&str, &str)]) -> Tree {
        let output = self.folder.path().join("output");
        fs::create_dir_all(&output).expect("a folder");
        for (path, content) in files {
            let path = output.join(path);
            fs::create_dir_all(parent(&path)).expect("a folder");
            fs::write(path, content).expect("written");
        }
        self.store.insert(&output).expect("inserted")
    }

    /// Inserts an output and records it as the result of an action. The key depends on `name`.
    pub(crate) fn action(&self, name: &str, files: &[(&str, &str)]) -> ActionKey {
        self.assembled(name, files, &[])
    }

    /// Like [`Self::action`], for a result that was assembled from parts.
    pub(crate) fn assembled(&self, name: &str, files: &[(&str, &str)], parts: &[ActionKey]) -> ActionKey {
        self.record(name, files, parts, 1000)
    }

    /// Records a result that took `duration_millis` to assemble from parts.
    pub(crate) fn lasting(&self, name: &str, duration_millis: u64, parts: &[ActionKey]) -> ActionKey {
        self.record(name, &[(name, name)], parts, duration_millis)
    }

    fn record(&self, name: &str, files: &[(&str, &str)], parts: &[ActionKey], duration_millis: u64) -> ActionKey {
        let tree = self.insert(files).digest();
        let mut fields = Fields::default();
        fields.add(["name"], name);
        let record = ActionRecord {
            parts: parts.iter().enumerate().map(|(number, key)| (number.to_string(), *key)).collect(),
            summary: vec![format!("made by {name}")],
            duration_millis,
            ended_unix_secs: 2,
            ..ActionRecord::new(name, OutputRecord { tree, ports: BTreeMap::from([("all".to_owned(), tree)]) })
        };
        self.store.record(fields.key(), &fields, &record).expect("recorded");
        fields.key()
    }

    /// Sets the time of the last use of an action.
    pub(crate) fn set_last_use(&self, key: ActionKey, at: SystemTime) {
        let file = fs::File::open(self.store.action_path(key, "json")).expect("a record");
        file.file().set_modified(at).expect("touched");
    }
}
