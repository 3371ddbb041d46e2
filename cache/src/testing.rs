//! [`Space`]: a store in a folder of its own, with actions that were never run.

use crate::store::parent;
use crate::{ActionKey, ActionRecord, Fields, OutputRecord, Store, Tree};
use fs_err as fs;
use std::collections::BTreeMap;
use std::time::SystemTime;

pub(crate) struct Space {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Space {
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

    /// Inserts an output and records it as that of an action; the key is that of `name`.
    pub(crate) fn action(&self, name: &str, files: &[(&str, &str)]) -> ActionKey {
        self.whole(name, files, &[])
    }

    /// The same, put together from parts.
    pub(crate) fn whole(&self, name: &str, files: &[(&str, &str)], parts: &[ActionKey]) -> ActionKey {
        let tree = self.insert(files).digest();
        let mut fields = Fields::default();
        fields.add(["name"], name);
        let record = ActionRecord {
            kind: name.to_owned(),
            output: OutputRecord { tree, ports: BTreeMap::from([("all".to_owned(), tree)]) },
            parts: parts.iter().enumerate().map(|(number, key)| (number.to_string(), *key)).collect(),
            state: None,
            environment: BTreeMap::new(),
            figures: BTreeMap::new(),
            summary: vec![format!("made by {name}")],
            warnings: vec![],
            duration_millis: 1000,
            peak_memory_bytes: None,
            ended_unix_secs: 2,
        };
        self.store.record(fields.key(), &fields, &record).expect("recorded");
        fields.key()
    }

    /// Sets when an action was last used.
    pub(crate) fn used(&self, key: ActionKey, at: SystemTime) {
        let file = fs::File::open(self.store.action_path(key, "json")).expect("a record");
        file.file().set_modified(at).expect("touched");
    }
}
