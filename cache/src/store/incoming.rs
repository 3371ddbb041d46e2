//! Blobs, one by one: [`Incoming`] receives one from elsewhere.
//!
//! An incoming blob is hashed while it is written and stored under its own digest, never under a digest that the sender claims.

use super::{Store, parent};
use crate::{CacheError, Digest};
use fs_err as fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A blob that is being received.
#[derive(Debug)]
pub struct Incoming {
    file: tempfile::NamedTempFile,
    hasher: blake3::Hasher,
    size_bytes: u64,
}

impl Incoming {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Returns the number of bytes written so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the digest of the bytes written so far.
    pub fn digest(&self) -> Digest {
        self.hasher.finalize().into()
    }
}

impl Store {
    /// Returns whether the store contains this blob with this size. Does not read it.
    pub fn has_blob(&self, digest: Digest, size_bytes: u64) -> bool {
        fs::metadata(self.blob(digest)).is_ok_and(|metadata| metadata.len() == size_bytes)
    }

    /// Returns the path of a blob, which need not exist.
    pub fn blob(&self, digest: Digest) -> PathBuf {
        self.object("blobs", digest)
    }

    /// Starts to receive a blob.
    pub fn receive(&self) -> Result<Incoming, CacheError> {
        let file = self.temporary_file()?;
        Ok(Incoming { file, hasher: blake3::Hasher::new(), size_bytes: 0 })
    }

    /// Stores a received blob under its own digest. Without `sync`, call [`Store::sync`] before anything refers to it.
    pub fn keep(&self, incoming: Incoming, sync: bool) -> Result<Digest, CacheError> {
        let digest = incoming.digest();
        let to = self.blob(digest);
        let file = incoming.file.as_file();
        file.set_permissions(PermissionsExt::from_mode(0o444))?;
        if sync {
            file.sync_all()?;
        }
        fs::create_dir_all(parent(&to))?;
        incoming.file.persist(&to).map_err(|error| error.error)?;
        Ok(digest)
    }

    /// Waits until everything written so far is on the disk.
    pub fn sync(&self) -> Result<(), CacheError> {
        let root = fs::File::open(&self.root)?;
        Ok(nix::unistd::syncfs(root.file()).map_err(std::io::Error::from)?)
    }

    /// Returns the free space of the store's file system, in bytes.
    pub fn free_bytes(&self) -> Result<u64, CacheError> {
        let space = nix::sys::statvfs::statvfs(&self.root).map_err(std::io::Error::from)?;
        Ok(space.blocks_available() as u64 * space.fragment_size() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tree, TreeFile};

    #[test]
    fn a_received_blob_is_stored_under_its_own_digest() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        let mut incoming = store.receive().expect("a file");
        incoming.write(b"ab").expect("written");
        incoming.write(b"c").expect("written");
        assert_eq!(incoming.size_bytes(), 3);
        let digest = store.keep(incoming, true).expect("kept");
        assert_eq!(digest, Digest::of(b"abc"));
        assert!(store.has_blob(digest, 3) && !store.has_blob(digest, 4));
        let tree = Tree { files: vec![TreeFile { path: "a/b".into(), digest, size_bytes: 3 }] };
        store.insert_tree(&tree).expect("kept");
        assert_eq!(fs::read(store.view(tree.digest()).join("a/b")).expect("read"), b"abc");
        assert!(store.free_bytes().expect("known") > 0);
    }

    #[test]
    fn paths_that_leave_the_output_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        let digest = store.keep(store.receive().expect("a file"), true).expect("kept");
        let long = "x".repeat(256);
        let file = |path: &&str| TreeFile { path: (*path).to_owned(), digest, size_bytes: 0 };
        let check = |paths: &[&str], fits: bool| {
            let tree = Tree { files: paths.iter().map(file).collect() };
            assert_eq!(store.insert_tree(&tree).is_ok(), fits, "{paths:?}");
            // Also if another program put the tree into the store.
            let json = serde_json::to_vec(&tree).expect("JSON");
            let at = store.tree_folder(tree.digest()).join("tree.json");
            fs::create_dir_all(parent(&at)).expect("a folder");
            fs::write(at, json).expect("written");
            assert_eq!(store.tree(tree.digest()).is_ok(), fits, "{paths:?}");
        };
        check(&["a", "a-b", "b/c", "b/d/e", "b/e", "c…"], true);
        check(&[], true);
        for path in ["", "/", "/etc/x", "..", "../x", "a/../../x", "a/./b", "a//b", "a/", "a\0b", &long] {
            check(&[path], false);
        }
        check(&["b", "a"], false);
        check(&["a", "a"], false);
        check(&["a", "a-b", "a/b"], false);
        check(&["a", "a-b", "a/b/c"], false);
    }
}
