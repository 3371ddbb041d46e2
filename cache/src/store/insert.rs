//! Adds outputs: [`Store::insert`] moves the files of a folder into the store, [`Store::assemble`] makes a tree of stored files.

use super::{Store, Tree, TreeFile, rename_into};
use crate::{CacheError, Digest};
use fs_err as fs;
use rayon::prelude::*;
use std::io::ErrorKind;
use std::path::Path;

/// Files larger than this are hashed by several threads.
const PARALLEL_FROM_BYTES: u64 = 128 << 10;

impl Store {
    /// Moves the files below `folder` into the store, as one output.
    pub fn insert(&self, folder: &Path) -> Result<Tree, CacheError> {
        self.assemble(self.insert_files(folder, |_| true)?)
    }

    /// Moves the files below `folder` whose paths are `wanted` into the store, and returns them.
    pub fn insert_files(&self, folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<TreeFile>, CacheError> {
        let mut paths = Vec::new();
        list_files(folder, String::new(), &wanted, &mut paths)?;
        paths.sort();
        let insert = |path: &String| self.insert_file(folder, path);
        if let [path] = paths.as_slice() {
            return Ok(vec![insert(path)?]); // cheaper than starting a parallel task
        }
        paths.par_iter().map(insert).collect()
    }

    /// Makes one output of stored files.
    pub fn assemble(&self, mut files: Vec<TreeFile>) -> Result<Tree, CacheError> {
        files.sort();
        if let Some(twice) = files.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(CacheError::TwoFiles { path: twice[0].path.clone() });
        }
        let tree = Tree { files };
        self.insert_tree(&tree)?;
        Ok(tree)
    }

    /// Stores a tree whose blobs are in the store.
    pub fn insert_tree(&self, tree: &Tree) -> Result<(), CacheError> {
        tree.check()?;
        if self.check_tree(tree.digest()).is_ok() {
            return Ok(());
        }
        self.write_view(tree)
    }

    fn insert_file(&self, folder: &Path, path: &str) -> Result<TreeFile, CacheError> {
        let from = folder.join(path);
        let file = fs::File::open(&from)?;
        let metadata = file.metadata()?;
        let (digest, size_bytes) = (hash_file(&file, metadata.len())?, metadata.len());
        if self.has_blob(digest, size_bytes) {
            fs::remove_file(&from)?;
        } else {
            let mut permissions = metadata.permissions();
            permissions.set_readonly(true);
            file.set_permissions(permissions)?;
            rename_into(&from, &self.blob(digest))?;
        }
        Ok(TreeFile { path: path.to_owned(), digest, size_bytes })
    }

    /// Writes the list of a tree and its folder of links, and replaces existing ones.
    pub(crate) fn write_view(&self, tree: &Tree) -> Result<(), CacheError> {
        let to = self.tree_folder(tree.digest());
        let folder = self.temporary_folder()?;
        let files = folder.path().join("files");
        fs::create_dir(&files)?;
        for file in &tree.files {
            if let Some((below, _)) = file.path.rsplit_once('/') {
                fs::create_dir_all(files.join(below))?;
            }
            fs::os::unix::fs::symlink(Tree::link_to(file), files.join(&file.path))?;
        }
        let list = folder.path().join("tree.json");
        let bytes = serde_json::to_vec(tree).map_err(|source| CacheError::Record { path: list.clone(), source })?;
        fs::write(&list, bytes)?;
        match rename_into(folder.path(), &to) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                // A damaged folder, or one that another process has just written: replace it in either case.
                let old = self.temporary_folder()?;
                fs::rename(&to, old.path().join("old"))?;
                match fs::rename(folder.path(), &to) {
                    Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => return Ok(()),
                    other => other?,
                }
            }
            other => other?,
        }
        // The folder was renamed, so there is no temporary folder to delete.
        let _ = folder.keep();
        Ok(())
    }
}

/// Hashes a file that no other process changes.
fn hash_file(file: &fs::File, size_bytes: u64) -> Result<Digest, CacheError> {
    let mut hasher = blake3::Hasher::new();
    if size_bytes > PARALLEL_FROM_BYTES {
        hasher.update_mmap_rayon(file.path())?;
    } else {
        hasher.update_reader(file.file())?;
    }
    Ok(hasher.finalize().into())
}

fn list_files(
    folder: &Path,
    prefix: String,
    wanted: &dyn Fn(&str) -> bool,
    paths: &mut Vec<String>,
) -> Result<(), CacheError> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(CacheError::NonUtf8Name { path: entry.path() });
        };
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list_files(&entry.path(), format!("{path}/"), wanted, paths)?;
        } else if wanted(&path) {
            if !kind.is_file() {
                return Err(CacheError::NotAFile { path: entry.path() });
            }
            paths.push(path);
        }
    }
    Ok(())
}
