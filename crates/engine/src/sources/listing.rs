//! [`list`]: the files of a [`SourceSet`], and how many others are beside them.

use crate::error::RunError;
use fs_err as fs;
use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use pipe_cache::Fingerprint;
use pipe_schemas::data_files::{EXCLUDED, LEFT_BEHIND, extension_name, is_left_behind, with_lower_case_extension};
use pipe_schemas::{OddNames, Selection, SourceSet};
use pipe_stage::SourceFile;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files of a set, sorted by path.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) files: Vec<ListedFile>,
    /// How many files of data are left out, by what they are.
    pub(super) left_out: BTreeMap<String, u64>,
}

/// A file of the set that is not hashed yet.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListedFile {
    /// The path below the root.
    pub(super) path: String,
    pub(super) fingerprint: Fingerprint,
    /// The real path below the root, if `path` is a [`SourceFile::odd_name`].
    odd: Option<PathBuf>,
}

impl ListedFile {
    pub(super) fn at(&self, root: &Path) -> PathBuf {
        match &self.odd {
            Some(path) => root.join(path),
            None if self.path.is_empty() => root.into(),
            None => root.join(&self.path),
        }
    }
}

/// Returns the files of a set.
pub(super) fn list(root: &Path, set: &SourceSet) -> Result<Listed, RunError> {
    let metadata = fs::metadata(root)?;
    if metadata.is_file() {
        let file = ListedFile { path: String::new(), fingerprint: Fingerprint::of(&metadata), odd: None };
        return Ok(Listed { files: vec![file], left_out: BTreeMap::new() });
    }
    let rules = Rules::new(set)?;
    let mut walked = Walked::default();
    for start in starts(&set.include) {
        let folder = root.join(&start);
        // A folder that a glob names may be missing.
        if let Ok(metadata) = fs::metadata(&folder) {
            match rules.classify(start.into(), &metadata)? {
                Found::File(file) => walked.files.push(file),
                Found::Folder(path, id) => walked.add(rules.walk(&folder, &path, &[(id, path.clone())])?),
                Found::LeftOut(what) => walked.count(what),
                Found::Nothing => {}
            }
        }
    }
    walked.into_listed(root)
}

/// Minimum number of directory entries per thread; with fewer, waking a thread costs more than it saves.
const MIN_ENTRIES: usize = 500;

/// A directory entry of a walk.
enum Found {
    File(ListedFile),
    /// With its path for globs.
    Folder(PathBuf, FolderId),
    /// A file that is not wanted, by what it is.
    LeftOut(String),
    /// Neither a file nor a folder.
    Nothing,
}

/// Device and inode, which identify a folder whichever link leads to it.
type FolderId = (u64, u64);

/// A link to a folder that contains it.
struct Cycle {
    link: PathBuf,
    /// The path of the folder for globs.
    folder: PathBuf,
}

/// What a walk found, in any order.
#[derive(Default)]
struct Walked {
    files: Vec<ListedFile>,
    left_out: BTreeMap<String, u64>,
    cycles: Vec<Cycle>,
}

impl Walked {
    fn count(&mut self, what: String) {
        *self.left_out.entry(what).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.files.extend(other.files);
        self.cycles.extend(other.cycles);
        for (what, count) in other.left_out {
            *self.left_out.entry(what).or_default() += count;
        }
    }

    /// Fails for a cycle through which a file would be found again and again.
    fn into_listed(self, root: &Path) -> Result<Listed, RunError> {
        let Self { mut files, left_out, cycles } = self;
        files.par_sort();
        files.dedup(); // the folder of one glob may contain that of another
        for Cycle { link, folder } in cycles {
            let folder = root.join(folder);
            if files.iter().any(|file| file.at(root).starts_with(&folder)) {
                let message =
                    format!("{} links back to a folder that contains it; remove or exclude it", link.display());
                return Err(io::Error::other(message).into());
            }
        }
        Ok(Listed { files, left_out })
    }
}

/// Which files a walk returns.
struct Rules {
    include: GlobSet,
    exclude: GlobSet,
    /// Folders of which `exclude` leaves out everything.
    exclude_folders: GlobSet,
    selection: Selection,
    /// Parts of the globs that match names which are not data otherwise.
    named: Vec<GlobMatcher>,
    odd_names: OddNames,
}

impl Rules {
    fn new(set: &SourceSet) -> Result<Self, RunError> {
        let whole = |glob: &String| glob.strip_suffix("/**").or(glob.strip_suffix("/**/*")).map(str::to_owned);
        let whole: Vec<String> = set.exclude.iter().filter_map(whole).collect();
        let parts = set.include.iter().flat_map(|glob| glob.split('/'));
        let named = parts.filter(|part| is_left_behind(OsStr::new(part)));
        Ok(Self {
            include: globs(&set.include)?,
            exclude: globs(&set.exclude)?,
            exclude_folders: globs(&whole)?,
            selection: set.selection,
            named: named.map(|part| Ok(glob(part)?.compile_matcher())).collect::<Result<_, globset::Error>>()?,
            odd_names: set.odd_names,
        })
    }

    /// Returns the files below the folder `at`; links are followed. `path` is the path of the folder for globs. `inside` lists
    /// the folders that contain it, and ends with the folder itself.
    fn walk(&self, at: &Path, path: &Path, inside: &[(FolderId, PathBuf)]) -> Result<Walked, RunError> {
        let entries = fs::read_dir(at)?.collect::<io::Result<Vec<_>>>()?;
        let found = entries.into_par_iter().with_min_len(MIN_ENTRIES).map(|entry| {
            let path = path.join(entry.file_name());
            if self.is_left_behind(&entry.file_name()) {
                return Ok(Found::LeftOut(LEFT_BEHIND.to_owned()));
            }
            // `DirEntry::metadata` is faster than `fs::metadata`, but does not follow links.
            if !entry.file_type()?.is_symlink() {
                return self.classify(path, &entry.metadata()?);
            }
            match fs::metadata(entry.path()) {
                Ok(metadata) => self.classify(path, &metadata),
                // A link to nothing, or to itself.
                Err(_) if !self.wants(&path) => Ok(self.left_out(&path)),
                Err(error) => Err(error.into()),
            }
        });
        let (mut walked, mut folders) = (Walked::default(), Vec::new());
        for found in found.collect::<Result<Vec<_>, RunError>>()? {
            match found {
                Found::File(file) => walked.files.push(file),
                Found::LeftOut(what) => walked.count(what),
                Found::Folder(path, id) => match inside.iter().find(|(outer, _)| *outer == id) {
                    Some((_, folder)) => {
                        let link = at.join(path.file_name().unwrap_or_default());
                        walked.cycles.push(Cycle { link, folder: folder.clone() });
                    }
                    None => folders.push((path, id)),
                },
                Found::Nothing => {}
            }
        }
        let below = folders.into_par_iter().map(|(path, id)| {
            let at = at.join(path.file_name().unwrap_or_default());
            self.walk(&at, &path, &[inside, &[(id, path.clone())]].concat())
        });
        for below in below.collect::<Result<Vec<_>, RunError>>()? {
            walked.add(below);
        }
        Ok(walked)
    }

    fn classify(&self, path: PathBuf, metadata: &Metadata) -> Result<Found, RunError> {
        if metadata.is_dir() {
            // A folder of which everything is excluded is not opened: it may be unreadable, or a cycle.
            return Ok(match self.selection {
                _ if !self.exclude_folders.is_match(&path) => Found::Folder(path, (metadata.dev(), metadata.ino())),
                Selection::Data => Found::LeftOut(EXCLUDED.to_owned()),
                Selection::Exact => Found::Nothing,
            });
        }
        if !metadata.is_file() {
            return Ok(Found::Nothing);
        }
        if !self.wants(&path) {
            return Ok(self.left_out(&path));
        }
        let (path, odd) = match path.into_os_string().into_string() {
            Ok(path) => (path, None),
            Err(path) if self.odd_names == OddNames::Listed => (SourceFile::odd_name(path.as_ref()), Some(path.into())),
            Err(path) => return Err(RunError::OddName { path: path.into() }),
        };
        Ok(Found::File(ListedFile { path, fingerprint: Fingerprint::of(metadata), odd }))
    }

    /// Returns whether a name is not that of data, and no glob names it.
    fn is_left_behind(&self, name: &OsStr) -> bool {
        self.selection == Selection::Data
            && is_left_behind(name)
            && !self.named.iter().any(|named| named.is_match(Path::new(name)))
    }

    fn wants(&self, path: &Path) -> bool {
        (self.include.is_empty() || self.matches(&self.include, path)) && !self.matches(&self.exclude, path)
    }

    fn matches(&self, globs: &GlobSet, path: &Path) -> bool {
        let in_lower_case = || with_lower_case_extension(path).is_some_and(|path| globs.is_match(path));
        globs.is_match(path) || (self.selection == Selection::Data && in_lower_case())
    }

    /// Returns as what a file that is not wanted is counted.
    fn left_out(&self, path: &Path) -> Found {
        match self.selection {
            Selection::Exact => Found::Nothing,
            Selection::Data if self.matches(&self.exclude, path) => Found::LeftOut(EXCLUDED.to_owned()),
            Selection::Data => Found::LeftOut(extension_name(path)),
        }
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

fn globs(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern)?);
    }
    set.build()
}

fn glob(pattern: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_in_which_globs_can_match_are_walked() {
        let globs = |globs: &[&str]| starts(&globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>());
        assert_eq!(globs(&["data/*.txt", "data/a/b?c", "x.py"]), ["data", "data/a", "x.py"]);
        assert_eq!(globs(&["data/*.txt", "**/*.avi"]), [""]);
        assert_eq!(globs(&[]), [""]);
        assert_eq!(globs(&["/*.txt", "/data/*"]), ["/", "/data"]);
    }
}
