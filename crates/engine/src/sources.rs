//! [`collect`]: lists ([`listing`]) and hashes the source files of a stage. A file is read only if its size, times or inode changed.

use crate::bookkeeping::Bookkeeping;
use crate::error::RunError;
use fs_err as fs;
use listing::{Listed, ListedFile, list};
use pipe_cache::{Digest, FileIndex, Fingerprint, KnownFile};
use pipe_schemas::SourceSet;
use pipe_stage::SourceFile;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

mod listing;

/// Maximum number of attempts to read a file that changes during the read.
const MAX_READS: usize = 3;

/// The files of a [`SourceSet`], hashed.
#[derive(Debug)]
pub(crate) struct Collected {
    /// The folder or file, as an absolute path.
    pub(crate) root: PathBuf,
    /// Sorted by path. If the root is a file, its path is "": the name of the file is not part of the key.
    pub(crate) files: Vec<SourceFile>,
    /// How many files of data are left out, by what they are: `.txt`.
    pub(crate) left_out: BTreeMap<String, u64>,
    /// Number of files that were read because they changed.
    pub(crate) num_read: u64,
    pub(crate) bytes_read: u64,
    set: SourceSet,
    /// The fingerprint of each of `files` when it was hashed.
    fingerprints: Vec<Fingerprint>,
}

impl Collected {
    /// Returns a file that was changed, added or removed since it was hashed.
    pub(crate) fn changed(&self) -> Result<Option<PathBuf>, RunError> {
        let now = list(&self.root, &self.set)?.files;
        let full = |path: &str| if path.is_empty() { self.root.clone() } else { self.root.join(path) };
        // Both are sorted: the first difference is a file that was added or removed.
        for (listed, (file, known)) in now.iter().zip(self.files.iter().zip(&self.fingerprints)) {
            if listed.path != file.path {
                return Ok(Some(full((&listed.path).min(&file.path))));
            }
            // The file was touched, but may have the same content.
            if listed.fingerprint != *known && read(&listed.at(&self.root))?.digest.hex() != file.digest {
                return Ok(Some(full(&file.path)));
            }
        }
        let num_both = now.len().min(self.files.len());
        let left = now.get(num_both).map(|listed| &listed.path).or(self.files.get(num_both).map(|file| &file.path));
        Ok(left.map(|path| full(path)))
    }
}

/// Lists and hashes the files of `set`.
pub(crate) fn collect(kept: &Bookkeeping, set: &SourceSet) -> Result<Collected, RunError> {
    let root = std::path::absolute(&set.root)?;
    let (listed, mut index) = rayon::join(|| list(&root, set), || FileIndex::open(index_path(kept.root(), &root, set)));
    if let Some(path) = index.damaged() {
        kept.damaged(path, "all source files are read again");
    }
    let Listed { files: listed, left_out } = listed?;
    let hashed = listed
        .into_par_iter()
        .map(|listed: ListedFile| {
            let fingerprint = listed.fingerprint;
            if let Some(digest) = index.find(&listed.path, &fingerprint) {
                return Ok((listed.path, HashedFile { fingerprint, digest, read: false, settled: true }));
            }
            let hashed = read(&listed.at(&root))?;
            Ok((listed.path, hashed))
        })
        .collect::<Result<Vec<_>, RunError>>()?;
    let (mut files, mut num_read, mut bytes_read) = (Vec::with_capacity(hashed.len()), 0, 0);
    let (mut known, mut fingerprints) = (Vec::with_capacity(hashed.len()), Vec::with_capacity(hashed.len()));
    for (path, HashedFile { fingerprint, digest, read, settled }) in hashed {
        if read {
            num_read += 1;
            bytes_read += fingerprint.size_bytes;
        }
        if settled {
            known.push(KnownFile { path: path.clone(), fingerprint, digest });
        }
        fingerprints.push(fingerprint);
        files.push(SourceFile { path, digest: digest.hex(), size_bytes: fingerprint.size_bytes });
    }
    index.replace(known);
    kept.update(|| index.save())?;
    Ok(Collected { root, files, left_out, num_read, bytes_read, set: set.clone(), fingerprints })
}

/// Returns the path of the file index. There is one per folder and globs, so that two stages that read a folder with different
/// globs do not overwrite each other's.
fn index_path(store_root: &Path, root: &Path, set: &SourceSet) -> PathBuf {
    let name = format!("{}\n{:?}\n{:?}", root.display(), set.include, set.exclude);
    store_root.join("index").join(Digest::of(name.as_bytes()).to_string())
}

struct HashedFile {
    fingerprint: Fingerprint,
    digest: Digest,
    /// Whether the file was read, rather than found in the index.
    read: bool,
    /// Whether a later change is certain to change the fingerprint; see [`Fingerprint::is_settled`].
    settled: bool,
}

/// Hashes a file, and again if it changed during the read.
fn read(path: &Path) -> Result<HashedFile, RunError> {
    for _ in 0..MAX_READS {
        let before = Fingerprint::of(&fs::metadata(path)?);
        #[expect(
            clippy::disallowed_methods,
            reason = "a file that changed just now is read again next time; no key depends on the time"
        )]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        let mut hasher = blake3::Hasher::new();
        // The error of a mapped file does not name it.
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("failed to read `{}`: {error}", path.display()));
        hasher.update_mmap_rayon(path).map_err(named)?;
        if Fingerprint::of(&fs::metadata(path)?) == before {
            let digest = hasher.finalize().into();
            return Ok(HashedFile { fingerprint: before, digest, read: true, settled: before.is_settled(now) });
        }
    }
    Err(RunError::Restless { path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::{OddNames, Selection};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    /// All files below `root`, or `root` itself if it is a file.
    fn all_of(root: PathBuf) -> SourceSet {
        SourceSet {
            param: "root",
            root,
            include: vec![],
            exclude: vec![],
            odd_names: OddNames::Refused,
            selection: Selection::Exact,
        }
    }

    /// Hashes a set with an index that is kept in the folder `store`.
    fn collect(store: &Path, set: &SourceSet) -> Result<Collected, RunError> {
        super::collect(&Bookkeeping::to_update(store), set)
    }

    fn paths(set: &SourceSet, store: &Path) -> Vec<String> {
        collect(store, set).expect("collected").files.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn globs_select_files_and_unchanged_files_are_not_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, store) = (folder.path().join("data"), folder.path().join("store"));
        for path in ["a.avi", "b/c.avi", "b/d.txt", "b/e/f #;(.avi"] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "x").expect("written");
        }
        let mut set = SourceSet { include: vec!["**/*.avi".into()], ..all_of(root.clone()) };
        assert_eq!(paths(&set, &store), ["a.avi", "b/c.avi", "b/e/f #;(.avi"]);
        set.exclude = vec!["b/*.avi".into()];
        assert_eq!(paths(&set, &store), ["a.avi", "b/e/f #;(.avi"]);
        std::thread::sleep(std::time::Duration::from_millis(120));
        collect(&store, &set).expect("collected");
        let again = collect(&store, &set).expect("collected");
        assert_eq!((again.num_read, again.files.len()), (0, 2));
        fs::write(root.join("a.avi"), "y").expect("written");
        let changed = collect(&store, &set).expect("collected");
        assert_eq!(changed.num_read, 1);
        assert_ne!(changed.files[0].digest, again.files[0].digest);
    }

    #[test]
    fn a_change_after_hashing_is_detected_and_a_touch_is_ignored() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("data");
        fs::create_dir(&root).expect("made");
        fs::write(root.join("a"), "1").expect("written");
        let set = all_of(root.clone());
        let collected = collect(&folder.path().join("store"), &set).expect("collected");
        let changed = || collected.changed().expect("listed").map(|path| path.display().to_string());
        assert_eq!(changed(), None);
        fs::write(root.join("a"), "1").expect("written");
        assert_eq!(changed(), None, "the same content again");
        fs::write(root.join("b"), "1").expect("written");
        assert_eq!(changed(), Some(root.join("b").display().to_string()));
        fs::remove_file(root.join("b")).expect("removed");
        fs::remove_file(root.join("a")).expect("removed");
        assert_eq!(changed(), Some(root.join("a").display().to_string()));
    }

    #[test]
    fn links_are_followed_and_cycles_of_links_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("data");
        fs::create_dir_all(root.join("a")).expect("made");
        fs::create_dir_all(root.join("empty")).expect("made");
        fs::write(root.join("a/f"), "1").expect("written");
        let link = |to: &str, at: &str| fs::os::unix::fs::symlink(to, root.join(at)).expect("a link");
        link("a", "b");
        link("a/f", "c");
        link(".", "empty/here");
        let mut set = all_of(root.clone());
        let store = folder.path().join("store");
        let expect = ["a/f", "b/f", "c"];
        assert_eq!(paths(&set, &store), expect, "a cycle without files stops nothing");
        link("..", "a/d");
        let error = collect(&store, &set).expect_err("a cycle").to_string();
        assert!(error.contains("/d links back"), "{error}");
        set.exclude = vec!["*/d/**".into()];
        assert_eq!(paths(&set, &store), expect, "an excluded cycle stops nothing");
    }

    #[test]
    fn what_is_not_wanted_stops_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("data");
        fs::create_dir_all(root.join("a")).expect("made");
        fs::write(root.join("a/f.avi"), "1").expect("written");
        let link = |to: &str, at: &str| fs::os::unix::fs::symlink(to, root.join(at)).expect("a link");
        link("nowhere", "notes.txt");
        link("me@host.42:99", ".#f.avi");
        link("itself.txt", "itself.txt");
        let mut set =
            SourceSet { include: vec!["**/*.avi".into()], selection: Selection::Data, ..all_of(root.clone()) };
        let store = folder.path().join("store");
        assert_eq!(paths(&set, &store), ["a/f.avi"]);
        link("nowhere", "a/g.avi");
        let error = collect(&store, &set).expect_err("a video that is not there").to_string();
        assert!(error.contains("a/g.avi"), "{error}");
        set.exclude = vec!["a/g*".into()];
        assert_eq!(paths(&set, &store), ["a/f.avi"]);
    }

    #[test]
    fn an_error_of_the_system_names_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let named = |error: RunError, path: &Path| {
            let error = error.to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        };
        // A folder can be opened, but not read as a file.
        named(read(folder.path()).map(|_| ()).expect_err("a folder"), folder.path());
        let missing = folder.path().join("missing.avi");
        named(read(&missing).map(|_| ()).expect_err("missing"), &missing);
        let set = all_of(folder.path().join("none"));
        named(
            collect(&folder.path().join("store"), &set).map(|_| ()).expect_err("missing"),
            &folder.path().join("none"),
        );
    }

    #[test]
    fn every_file_is_listed_or_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("data");
        let wanted = ["a/1.avi", "a/2.AVI", "a/video 3.mp4", "b/4.Mp4"];
        let others = ["a/1.txt", "b/README", "b/x.TXT", "b/5.xyz", "c/6.avi"];
        let left_behind = ["._1.avi", "a/.2.avi", ".ipynb_checkpoints/1.avi", "b/@eaDir/4.mp4", "__MACOSX/a/._1.avi"];
        let files = [&wanted[..], &others, &left_behind].concat();
        for path in &files {
            fs::create_dir_all(root.join(path).parent().expect("a folder")).expect("made");
            fs::write(root.join(path), path).expect("written");
        }
        let include = vec!["**/*.{avi,mp4}".to_owned()];
        let exclude = vec!["c/**".to_owned()];
        let set = SourceSet { include, exclude, selection: Selection::Data, ..all_of(root.clone()) };
        let found = collect(&folder.path().join("store"), &set).expect("collected");
        let paths: Vec<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, wanted);
        let left_out: Vec<(&str, u64)> = found.left_out.iter().map(|(what, count)| (what.as_str(), *count)).collect();
        let expect =
            [(".txt", 2), (".xyz", 1), ("excluded", 1), ("hidden or of a system", 5), ("without an extension", 1)];
        assert_eq!(left_out, expect);
        assert_eq!(files.len() as u64, paths.len() as u64 + found.left_out.values().sum::<u64>());
        // A root that is hidden itself, and a hidden folder that a glob names.
        let hidden = SourceSet { root: root.join(".ipynb_checkpoints"), ..set.clone() };
        let found = collect(&folder.path().join("store"), &hidden).expect("collected");
        assert_eq!(found.files.len(), 1);
        let named = SourceSet { include: vec![".ipynb_checkpoints/*.avi".into()], ..set };
        let found = collect(&folder.path().join("store"), &named).expect("collected");
        assert_eq!(found.files.len(), 1);
    }

    #[test]
    fn a_name_that_is_not_utf8_is_an_error_or_gets_a_name_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("data");
        let names: [&[u8]; 6] =
            [b"a.avi", b"caf\xe9.avi", br"caf\xE9.avi", b"\xff/a.avi", br"\\xFF/a\", b"\xff\\xFF.txt"];
        for (content, name) in names.iter().enumerate() {
            let path = root.join(OsStr::from_bytes(name));
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, content.to_string()).expect("written");
        }
        let mut set = SourceSet { include: vec!["**/*.avi".into()], ..all_of(root.clone()) };
        let store = folder.path().join("store");
        let error = collect(&store, &set).expect_err("refused").to_string();
        assert!(error.ends_with("has a name that is not UTF-8; rename or exclude it"), "{error}");
        set.odd_names = OddNames::Listed;
        let expect = [r"./\xFF/a.avi", r"./caf\xE9.avi", "a.avi", r"caf\xE9.avi"];
        assert_eq!(paths(&set, &store), expect);
        let collected = collect(&store, &set).expect("collected");
        // Each has the digest of its own content.
        let digests: Vec<&str> = collected.files.iter().map(|file| file.digest.as_str()).collect();
        assert_eq!(digests, ["3", "1", "0", "2"].map(|content| Digest::of(content.as_bytes()).hex()));
        assert_eq!(collected.files.iter().filter(|file| file.has_odd_name()).count(), 2);
        assert_eq!(collected.changed().expect("listed"), None);
        fs::write(root.join(OsStr::from_bytes(names[1])), "other").expect("written");
        assert_eq!(collected.changed().expect("listed"), Some(root.join(expect[1])));
        // All files count, and the excluded ones do not.
        (set.include, set.exclude) = (vec![], vec!["caf*".into()]);
        assert_eq!(paths(&set, &store), [r"./\xFF/a.avi", r"./\xFF\\xFF.txt", r"\\xFF/a\", "a.avi"]);
    }

    #[test]
    fn the_name_of_a_single_source_file_does_not_matter() {
        let folder = tempfile::tempdir().expect("a folder");
        let digest = |name: &str| {
            let root = folder.path().join(name);
            fs::write(&root, "weights").expect("written");
            collect(folder.path(), &all_of(root)).expect("collected").files
        };
        assert_eq!(digest("a.pth"), digest("b.pth"));
    }
}
