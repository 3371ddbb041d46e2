//! Source files: which count, and what is in them, reading only those that look changed.

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

/// How often a file that changes while it is read is read again.
const MAX_READS: usize = 3;

/// The files of a [`SourceSet`], hashed.
#[derive(Debug)]
pub(crate) struct Collected {
    /// The folder or file, absolute.
    pub(crate) root: PathBuf,
    /// Sorted by path. A root that is one file has the path "": its name is no part of what it is.
    pub(crate) files: Vec<SourceFile>,
    pub(crate) num_read: u64,
    pub(crate) bytes_read: u64,
    set: SourceSet,
    /// Of each of `files`, as it looked when it was hashed.
    fingerprints: Vec<Fingerprint>,
}

impl Collected {
    /// Returns a file that is not what it was when it was hashed, or was not there, or is no longer.
    pub(crate) fn changed(&self) -> Result<Option<PathBuf>, RunError> {
        let now = list(&self.root, &self.set)?;
        let full = |path: &str| if path.is_empty() { self.root.clone() } else { self.root.join(path) };
        // Both are sorted: the first place in which they differ is a file that came or went.
        for (listed, (file, known)) in now.iter().zip(self.files.iter().zip(&self.fingerprints)) {
            if listed.path != file.path {
                return Ok(Some(full((&listed.path).min(&file.path))));
            }
            // It was touched, but may hold what it held.
            if listed.fingerprint != *known && read(&listed.at(&self.root))?.digest.hex() != file.digest {
                return Ok(Some(full(&file.path)));
            }
        }
        let num_both = now.len().min(self.files.len());
        let left = now.get(num_both).map(|listed| &listed.path).or(self.files.get(num_both).map(|file| &file.path));
        Ok(left.map(|path| full(path)))
    }
}

/// Lists and hashes the files of `set`. `store_root` is the `.pipe` folder.
pub(crate) fn collect(store_root: &Path, set: &SourceSet) -> Result<Collected, RunError> {
    let root = std::path::absolute(&set.root)?;
    let (listed, mut index) = rayon::join(|| list(&root, set), || FileIndex::open(index_path(store_root, &root, set)));
    let hashed = listed?
        .into_par_iter()
        .map(|listed| {
            let fingerprint = listed.fingerprint;
            if let Some(digest) = index.find(&listed.path, &fingerprint) {
                return Ok((listed.path, Look { fingerprint, digest, read: false, settled: true }));
            }
            let look = read(&listed.at(&root))?;
            Ok((listed.path, look))
        })
        .collect::<Result<Vec<_>, RunError>>()?;
    let (mut files, mut num_read, mut bytes_read) = (Vec::with_capacity(hashed.len()), 0, 0);
    let (mut known, mut fingerprints) = (Vec::with_capacity(hashed.len()), Vec::with_capacity(hashed.len()));
    for (path, Look { fingerprint, digest, read, settled }) in hashed {
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
    index.save()?;
    Ok(Collected { root, files, num_read, bytes_read, set: set.clone(), fingerprints })
}

/// The index is kept per folder and globs, so that two stages that read one folder differently do not undo each other's.
fn index_path(store_root: &Path, root: &Path, set: &SourceSet) -> PathBuf {
    let name = format!("{}\n{:?}\n{:?}", root.display(), set.include, set.exclude);
    store_root.join("index").join(Digest::of(name.as_bytes()).to_string())
}

/// Returns the files that count, sorted by path.
fn list(root: &Path, set: &SourceSet) -> Result<Vec<Listed>, RunError> {
    let metadata = fs::metadata(root)?;
    if metadata.is_file() {
        return Ok(vec![Listed { path: String::new(), fingerprint: Fingerprint::of(&metadata), odd: None }]);
    }
    let listing = Listing { include: globs(&set.include)?, exclude: globs(&set.exclude)?, odd_names: set.odd_names };
    let mut files = Vec::new();
    for start in starts(&set.include) {
        let folder = root.join(&start);
        // What globs ask for need not be there.
        if let Ok(metadata) = fs::metadata(&folder) {
            match listing.look(start.into(), &metadata)? {
                Some(Seen::File(file)) => files.push(file),
                Some(Seen::Folder(path, id)) => files.extend(listing.walk(&folder, &path, &[id])?),
                None => {}
            }
        }
    }
    files.par_sort();
    files.dedup(); // one glob may begin within another's folder
    Ok(files)
}

/// A file that counts, as it looks.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    /// Below the root.
    path: String,
    fingerprint: Fingerprint,
    /// Where it really lies below the root, where `path` is no more than [`SourceFile::odd_name`].
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

/// So many files of a folder are looked at by one thread; waking another for fewer costs more.
const MIN_LOOKS: usize = 500;

/// What a walk comes by, with its path for globs.
enum Seen {
    File(Listed),
    Folder(PathBuf, FolderId),
}

/// Device and inode: the same by whichever link a folder is reached.
type FolderId = (u64, u64);

/// Which files of a walk count.
struct Listing {
    include: GlobSet,
    exclude: GlobSet,
    odd_names: OddNames,
}

impl Listing {
    /// Returns the files below the folder `at`, in any order; links are followed. `path` is its name for globs, `inside` ends
    /// with itself, after the folders that it is in.
    fn walk(&self, at: &Path, path: &Path, inside: &[FolderId]) -> Result<Vec<Listed>, RunError> {
        let entries = fs::read_dir(at)?.collect::<std::io::Result<Vec<_>>>()?;
        let seen = entries.into_par_iter().with_min_len(MIN_LOOKS).map(|entry| {
            // An entry's own metadata is asked for within its folder, which is faster, but tells of a link itself.
            let is_link = entry.file_type()?.is_symlink();
            let metadata = if is_link { fs::metadata(entry.path())? } else { entry.metadata()? };
            self.look(path.join(entry.file_name()), &metadata)
        });
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for seen in seen.collect::<Result<Vec<_>, RunError>>()?.into_iter().flatten() {
            match seen {
                Seen::File(file) => files.push(file),
                Seen::Folder(path, id) => folders.push((path, id)),
            }
        }
        let below = folders.into_par_iter().map(|(path, id)| {
            let at = at.join(path.file_name().unwrap_or_default());
            if inside.contains(&id) {
                let message = format!("{} leads back into a folder that it is in", at.display());
                return Err(std::io::Error::other(message).into());
            }
            self.walk(&at, &path, &[inside, &[id]].concat())
        });
        files.extend(below.collect::<Result<Vec<_>, RunError>>()?.into_iter().flatten());
        Ok(files)
    }

    /// Returns what there is at `path`, if it counts.
    fn look(&self, path: PathBuf, metadata: &Metadata) -> Result<Option<Seen>, RunError> {
        if metadata.is_dir() {
            return Ok(Some(Seen::Folder(path, (metadata.dev(), metadata.ino()))));
        }
        let is_asked_for = self.include.is_empty() || self.include.is_match(&path);
        if !metadata.is_file() || !is_asked_for || self.exclude.is_match(&path) {
            return Ok(None);
        }
        let (path, odd) = match path.into_os_string().into_string() {
            Ok(path) => (path, None),
            Err(path) if self.odd_names == OddNames::Told => (SourceFile::odd_name(path.as_ref()), Some(path.into())),
            Err(path) => return Err(RunError::OddName { path: path.into() }),
        };
        Ok(Some(Seen::File(Listed { path, fingerprint: Fingerprint::of(metadata), odd })))
    }
}

/// Returns the folders or files below which globs can match: what stands before their first special character.
fn starts(globs: &[String]) -> Vec<String> {
    let start = |glob: &String| {
        let special = glob.find(['*', '?', '[', '{', '\\']);
        let plain = special.map_or(glob.as_str(), |at| &glob[..at]);
        let end = if special.is_some() { plain.rfind('/').unwrap_or(0) } else { plain.len() };
        // The folder `/` is more than nothing.
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

struct Look {
    fingerprint: Fingerprint,
    digest: Digest,
    read: bool,
    settled: bool,
}

/// Hashes a file that is still the same file afterwards.
fn read(path: &Path) -> Result<Look, RunError> {
    for _ in 0..MAX_READS {
        let before = Fingerprint::of(&fs::metadata(path)?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        let mut hasher = blake3::Hasher::new();
        hasher.update_mmap_rayon(path)?;
        if Fingerprint::of(&fs::metadata(path)?) == before {
            let digest = hasher.finalize().into();
            return Ok(Look { fingerprint: before, digest, read: true, settled: before.is_settled(now) });
        }
    }
    Err(RunError::Restless { path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    /// All files below `root`, or that one.
    fn all_of(root: PathBuf) -> SourceSet {
        SourceSet { param: "root", root, include: vec![], exclude: vec![], odd_names: OddNames::Refused }
    }

    fn paths(set: &SourceSet, store: &Path) -> Vec<String> {
        collect(store, set).expect("collected").files.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn globs_choose_and_unchanged_files_are_not_read_again() {
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
    fn a_change_after_hashing_is_seen_and_a_touch_is_none() {
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
    fn links_are_followed_and_circles_are_told() {
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
        let error = collect(&folder.path().join("store"), &set).expect_err("a circle").to_string();
        assert!(error.contains("/d leads back into"), "{error}");
    }

    #[test]
    fn names_that_are_not_utf8_are_refused_or_told_and_never_those_of_others() {
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
        set.odd_names = OddNames::Told;
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
    fn one_file_is_a_source_too_whatever_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let digest = |name: &str| {
            let root = folder.path().join(name);
            fs::write(&root, "weights").expect("written");
            collect(folder.path(), &all_of(root)).expect("collected").files
        };
        assert_eq!(digest("a.pth"), digest("b.pth"));
    }
}
