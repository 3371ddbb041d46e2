//! [`collect`]: lists and hashes the source files of a stage. A file is read only if its size, times or inode changed.

use crate::bookkeeping::Bookkeeping;
use crate::error::RunError;
use fs_err as fs;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use pipe_cache::{Digest, FileIndex, Fingerprint, KnownFile};
use pipe_schemas::{OddNames, SourceSet};
use pipe_stage::SourceFile;
use rayon::prelude::*;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Maximum number of attempts to read a file that changes during the read.
const MAX_READS: usize = 3;

/// The files of a [`SourceSet`], hashed.
#[derive(Debug)]
pub(crate) struct Collected {
    /// The folder or file, as an absolute path.
    pub(crate) root: PathBuf,
    /// Sorted by path. If the root is a file, its path is "": the name of the file is not part of the key.
    pub(crate) files: Vec<SourceFile>,
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
        let now = list(&self.root, &self.set)?;
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
    let hashed = listed?
        .into_par_iter()
        .map(|listed| {
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
    Ok(Collected { root, files, num_read, bytes_read, set: set.clone(), fingerprints })
}

/// Returns the path of the file index. There is one per folder and globs, so that two stages that read a folder with different
/// globs do not overwrite each other's.
fn index_path(store_root: &Path, root: &Path, set: &SourceSet) -> PathBuf {
    let name = format!("{}\n{:?}\n{:?}", root.display(), set.include, set.exclude);
    store_root.join("index").join(Digest::of(name.as_bytes()).to_string())
}

/// Returns the files of a set, sorted by path.
fn list(root: &Path, set: &SourceSet) -> Result<Vec<Listed>, RunError> {
    let metadata = fs::metadata(root)?;
    if metadata.is_file() {
        return Ok(vec![Listed { path: String::new(), fingerprint: Fingerprint::of(&metadata), odd: None }]);
    }
    let listing = Listing { include: globs(&set.include)?, exclude: globs(&set.exclude)?, odd_names: set.odd_names };
    let mut files = Vec::new();
    for start in starts(&set.include) {
        let folder = root.join(&start);
        // A folder that a glob names may be missing.
        if let Ok(metadata) = fs::metadata(&folder) {
            match listing.classify(start.into(), &metadata)? {
                Some(Found::File(file)) => files.push(file),
                Some(Found::Folder(path, id)) => files.extend(listing.walk(&folder, &path, &[id])?),
                None => {}
            }
        }
    }
    files.par_sort();
    files.dedup(); // the folder of one glob may contain that of another
    Ok(files)
}

/// A file of the set that is not hashed yet.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    /// The path below the root.
    path: String,
    fingerprint: Fingerprint,
    /// The real path below the root, if `path` is a [`SourceFile::odd_name`].
    odd: Option<PathBuf>,
}

impl Listed {
    fn at(&self, root: &Path) -> PathBuf {
        match &self.odd {
            Some(path) => root.join(path),
            None if self.path.is_empty() => root.into(),
            None => root.join(&self.path),
        }
    }
}

/// Minimum number of directory entries per thread; with fewer, waking a thread costs more than it saves.
const MIN_ENTRIES: usize = 500;

/// A directory entry of a walk, with its path for globs.
enum Found {
    File(Listed),
    Folder(PathBuf, FolderId),
}

/// Device and inode, which identify a folder whichever link leads to it.
type FolderId = (u64, u64);

/// Which files a walk returns.
struct Listing {
    include: GlobSet,
    exclude: GlobSet,
    odd_names: OddNames,
}

impl Listing {
    /// Returns the files below the folder `at`, in any order; links are followed. `path` is the path of the folder for globs.
    /// `inside` lists the folders that contain it, and ends with the folder itself.
    fn walk(&self, at: &Path, path: &Path, inside: &[FolderId]) -> Result<Vec<Listed>, RunError> {
        let entries = fs::read_dir(at)?.collect::<std::io::Result<Vec<_>>>()?;
        let found = entries.into_par_iter().with_min_len(MIN_ENTRIES).map(|entry| {
            // `DirEntry::metadata` is faster than `fs::metadata`, but does not follow links.
            let is_link = entry.file_type()?.is_symlink();
            let metadata = if is_link { fs::metadata(entry.path())? } else { entry.metadata()? };
            self.classify(path.join(entry.file_name()), &metadata)
        });
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for found in found.collect::<Result<Vec<_>, RunError>>()?.into_iter().flatten() {
            match found {
                Found::File(file) => files.push(file),
                Found::Folder(path, id) => folders.push((path, id)),
            }
        }
        let below = folders.into_par_iter().map(|(path, id)| {
            let at = at.join(path.file_name().unwrap_or_default());
            if inside.contains(&id) {
                let message = format!("{} links back to a folder that contains it", at.display());
                return Err(std::io::Error::other(message).into());
            }
            self.walk(&at, &path, &[inside, &[id]].concat())
        });
        files.extend(below.collect::<Result<Vec<_>, RunError>>()?.into_iter().flatten());
        Ok(files)
    }

    /// Returns a folder, or a file that the globs select; `None` for everything else.
    fn classify(&self, path: PathBuf, metadata: &Metadata) -> Result<Option<Found>, RunError> {
        if metadata.is_dir() {
            return Ok(Some(Found::Folder(path, (metadata.dev(), metadata.ino()))));
        }
        let is_included = self.include.is_empty() || self.include.is_match(&path);
        if !metadata.is_file() || !is_included || self.exclude.is_match(&path) {
            return Ok(None);
        }
        let (path, odd) = match path.into_os_string().into_string() {
            Ok(path) => (path, None),
            Err(path) if self.odd_names == OddNames::Listed => (SourceFile::odd_name(path.as_ref()), Some(path.into())),
            Err(path) => return Err(RunError::OddName { path: path.into() }),
        };
        Ok(Some(Found::File(Listed { path, fingerprint: Fingerprint::of(metadata), odd })))
    }
}

/// Returns the folders or files below which globs can match: the part of each glob before its first special character.
fn starts(globs: &[String]) -> Vec<String> {
    let start = |glob: &String| {
        let special = glob.find(['*', '?', '[', '{', '\\']);
        let plain = special.map_or(glob.as_str(), |at| &glob[..at]);
        let end = if special.is_some() { plain.rfind('/').unwrap_or(0) } else { plain.len() };
        // The root folder must not become an empty path.
        if end == 0 && plain.starts_with('/') { "/".to_owned() } else { plain[..end].to_owned() }
    };
    let mut starts: Vec<String> = globs.iter().map(start).collect();
    starts.sort();
    starts.dedup();
    if starts.is_empty() || starts[0].is_empty() { vec![String::new()] } else { starts }
}

fn globs(patterns: &[String]) -> Result<GlobSet, RunError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
    }
    Ok(set.build()?)
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
        hasher.update_mmap_rayon(path)?;
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
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    /// All files below `root`, or `root` itself if it is a file.
    fn all_of(root: PathBuf) -> SourceSet {
        SourceSet { param: "root", root, include: vec![], exclude: vec![], odd_names: OddNames::Refused }
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
    fn only_folders_in_which_globs_can_match_are_walked() {
        let globs = |globs: &[&str]| starts(&globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>());
        assert_eq!(globs(&["data/*.txt", "data/a/b?c", "x.py"]), ["data", "data/a", "x.py"]);
        assert_eq!(globs(&["data/*.txt", "**/*.avi"]), [""]);
        assert_eq!(globs(&[]), [""]);
        assert_eq!(globs(&["/*.txt", "/data/*"]), ["/", "/data"]);
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
        fs::write(root.join("a/f"), "1").expect("written");
        let link = |to: &str, at: &str| fs::os::unix::fs::symlink(to, root.join(at)).expect("a link");
        link("a", "b");
        link("a/f", "c");
        let set = all_of(root.clone());
        assert_eq!(paths(&set, &folder.path().join("store")), ["a/f", "b/f", "c"]);
        link("..", "a/d");
        let error = collect(&folder.path().join("store"), &set).expect_err("a cycle").to_string();
        assert!(error.contains("/d links back"), "{error}");
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
