//! A store in a temporary folder with made-up results, and a bucket to share them.

use object_store::{ObjectStore, ObjectStoreExt};
use pipe_cache::remote::{Environment, Pulled, PushOptions};
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, ActionRecord, Digest, Fields, OutputRecord, Remote, Store, Tree};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// A remote, and direct access to its objects.
pub(crate) struct Bucket {
    pub(crate) url: String,
    pub(crate) environment: Vec<(String, String)>,
    /// Objects at the prefix of the URL.
    pub(crate) raw: Arc<dyn ObjectStore>,
}

impl Bucket {
    /// Returns a new connection, as another process has it.
    pub(crate) fn remote(&self) -> Remote {
        Remote::open(&self.url, environment(&self.environment)).expect("a URL")
    }

    /// Changes an object directly.
    pub(crate) fn tamper(&self, object: &str, change: impl FnOnce(&mut Vec<u8>)) {
        block(async {
            let path = object_store::path::Path::from(object);
            let got = self.raw.get(&path).await.expect("an object").bytes().await.expect("its bytes");
            let mut bytes = got.to_vec();
            change(&mut bytes);
            self.raw.put(&path, bytes.into()).await.expect("written");
        });
    }

    pub(crate) fn put(&self, object: &str, bytes: Vec<u8>) {
        block(self.raw.put(&object_store::path::Path::from(object), bytes.into())).expect("written");
    }

    pub(crate) fn delete(&self, object: &str) {
        block(self.raw.delete(&object_store::path::Path::from(object))).expect("deleted");
    }
}

fn block<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().worker_threads(1).build().expect("a runtime").block_on(work)
}

pub(crate) fn environment(variables: &[(String, String)]) -> Environment {
    variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
}

pub(crate) fn object(kind: &str, id: impl ToString, extension: &str) -> String {
    let hex = id.to_string();
    format!("v1/{kind}/{}/{}{extension}", &hex[..2], &hex[2..])
}

/// A store in a temporary folder.
pub(crate) struct TestStore {
    folder: tempfile::TempDir,
    pub(crate) store: Store,
}

/// A result in a store.
pub(crate) struct TestResult {
    pub(crate) key: ActionKey,
    pub(crate) fields: Fields,
    pub(crate) record: ActionRecord,
    pub(crate) tree: Tree,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        Self { folder, store }
    }

    /// Records a result with these files. Its key depends on `name`.
    pub(crate) fn make(&self, name: &str, files: &[(&str, Vec<u8>)]) -> TestResult {
        self.make_of(name, files, BTreeMap::new(), "made")
    }

    pub(crate) fn make_of(
        &self,
        name: &str,
        files: &[(&str, Vec<u8>)],
        parts: BTreeMap<String, ActionKey>,
        summary: &str,
    ) -> TestResult {
        let output = self.folder.path().join("output");
        fs::create_dir_all(&output).expect("a folder");
        for (path, content) in files {
            let path = output.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, content).expect("written");
        }
        let tree = self.store.insert(&output).expect("inserted");
        fs::remove_dir_all(&output).expect("removed");
        let record = record_of(tree.digest(), parts, summary);
        let mut fields = Fields::default();
        fields.add(["kind"], "k");
        fields.add(["name"], name);
        let key = fields.key();
        self.store.record(key, &fields, &record).expect("recorded");
        TestResult { key, fields, record, tree }
    }

    pub(crate) fn push(&self, bucket: &Bucket, keys: &[ActionKey]) -> pipe_cache::remote::Pushed {
        bucket.remote().push(&self.store, keys, PushOptions::default(), &mut |_| {}).expect("pushed")
    }

    pub(crate) fn pull(&self, bucket: &Bucket, key: ActionKey) -> Pulled {
        bucket.remote().pull(&self.store, key, &|_, _, _| true).expect("the store works")
    }

    pub(crate) fn is_hit(&self, key: ActionKey) -> bool {
        matches!(self.store.find(key), Lookup::Hit(_))
    }

    /// Asserts that the store contains `made`, and that its files are intact.
    pub(crate) fn expect(&self, made: &TestResult) {
        let Lookup::Hit(record) = self.store.find(made.key) else { panic!("a hit") };
        assert_eq!(*record, made.record);
        assert_eq!(self.store.fields(made.key).expect("read"), Some(made.fields.clone()));
        assert_eq!(self.store.tree(made.tree.digest()).expect("a tree"), made.tree);
        for file in &made.tree.files {
            let bytes = fs::read(self.store.view(made.tree.digest()).join(&file.path)).expect("a file");
            assert_eq!(Digest::of(&bytes), file.digest, "{}", file.path);
        }
    }

    /// Returns the files in the temporary folder of the store.
    pub(crate) fn left_over(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("store/v1/tmp")).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// Returns whether the store contains no blob.
    pub(crate) fn has_no_blobs(&self) -> bool {
        fs::read_dir(self.folder.path().join("store/v1/blobs")).expect("a folder").next().is_none()
    }

    /// Changes a blob directly.
    pub(crate) fn flip(&self, digest: Digest) {
        let path = self.store.blob(digest);
        let mut bytes = fs::read(&path).expect("a blob");
        bytes[0] ^= 1;
        fs::remove_file(&path).expect("removed");
        fs::write(&path, bytes).expect("written");
    }
}

pub(crate) fn record_of(tree: Digest, parts: BTreeMap<String, ActionKey>, summary: &str) -> ActionRecord {
    ActionRecord {
        parts,
        summary: vec![summary.into()],
        duration_millis: 1,
        ended_unix_secs: 2,
        ..ActionRecord::new("k", OutputRecord { tree, ports: BTreeMap::new() })
    }
}

/// Returns pseudo-random bytes that depend on the seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..len).map(|_| next()).collect()
}
