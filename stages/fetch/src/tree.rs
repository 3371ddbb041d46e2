//! [`Tree`]: the folder that files and archives are put into. Start with [`Tree::entry`].

use crate::archive::{Body, Entry};
use crate::{EntryProblem, FetchError};
use fs_err as fs;
use pipe_schemas::stages::fetch::{FetchParams, check_path};
use pipe_stage::{Context, StageError};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// How much is copied at once.
const CHUNK_BYTES: usize = 1 << 18;

/// A folder that is being filled. Nothing in it is a link, as nothing else writes there.
pub(crate) struct Tree<'a> {
    context: &'a Context,
    root: PathBuf,
    strip_folders: u32,
    max_bytes: u64,
    max_files: u64,
    /// What is there, by its path in lower case.
    taken: BTreeMap<String, Taken>,
    num_files: u64,
    num_entries: u64,
    size_bytes: u64,
}

struct Taken {
    path: String,
    is_file: bool,
}

/// From where to where an archive is unpacked.
#[derive(Debug, Clone)]
pub(crate) struct Unpacking {
    /// The archive's name in messages.
    pub(crate) archive: String,
    /// The folder that it is unpacked into; empty for the root.
    pub(crate) into: String,
    /// Whether it came out of another archive.
    pub(crate) nested: bool,
}

/// Where an entry goes.
pub(crate) enum Place {
    /// Nowhere: it is a folder.
    Nowhere,
    /// To this path below the root.
    File(String),
}

impl Unpacking {
    fn wrong(&self, name: &[u8], problem: EntryProblem) -> StageError {
        let entry = String::from_utf8_lossy(name).into_owned();
        FetchError::Entry { archive: self.archive.clone(), entry, problem }.told()
    }
}

impl<'a> Tree<'a> {
    pub(crate) fn new(context: &'a Context, root: PathBuf, params: &FetchParams) -> Self {
        Self {
            context,
            root,
            strip_folders: params.strip_folders,
            max_bytes: params.max_bytes,
            max_files: params.max_files,
            taken: BTreeMap::new(),
            num_files: 0,
            num_entries: 0,
            size_bytes: 0,
        }
    }

    /// Returns how many files there are, and their size.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.num_files, self.size_bytes)
    }

    /// Decides where an entry of an archive goes, if it may go anywhere.
    pub(crate) fn entry(&mut self, from: &Unpacking, entry: &Entry) -> Result<Place, StageError> {
        let wrong = |problem| from.wrong(&entry.name, problem);
        self.num_entries += 1;
        if self.num_entries > self.max_files {
            return Err(wrong(EntryProblem::Files(self.max_files)));
        }
        let is_file = match entry.body {
            Body::File => true,
            Body::Folder => false,
            Body::Special(what) => return Err(wrong(EntryProblem::Special(what))),
            Body::Unsupported(why) => return Err(wrong(EntryProblem::Unsupported(why))),
        };
        let name = str::from_utf8(&entry.name).map_err(|_| wrong(EntryProblem::NotUtf8))?;
        let strip_folders = if from.nested { 0 } else { self.strip_folders };
        let Some(below) = stripped(name, is_file, strip_folders).map_err(wrong)? else { return Ok(Place::Nowhere) };
        let path = if from.into.is_empty() { below.to_owned() } else { format!("{}/{below}", from.into) };
        check_path(&path).map_err(|problem| wrong(EntryProblem::Path(problem)))?;
        Ok(if is_file { Place::File(path) } else { Place::Nowhere })
    }

    /// Copies the content of an entry to its place.
    pub(crate) fn write(
        &mut self,
        from: &Unpacking,
        name: &[u8],
        path: &str,
        content: &mut dyn Read,
    ) -> Result<(), StageError> {
        self.take(path).map_err(|problem| from.wrong(name, problem))?;
        let target = self.below(path)?;
        self.num_files += 1;
        self.copy(from, name, &target, content)
    }

    /// Copies content to a file, as far as `max_bytes` allows.
    pub(crate) fn copy(
        &mut self,
        from: &Unpacking,
        name: &[u8],
        target: &Path,
        content: &mut dyn Read,
    ) -> Result<(), StageError> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(target)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            self.context.check_cancelled()?;
            let count = match content.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(FetchError::Broken { archive: from.archive.clone(), source }.into()),
            };
            self.size_bytes += count as u64;
            if self.size_bytes > self.max_bytes {
                return Err(from.wrong(name, EntryProblem::Bytes(self.max_bytes)));
            }
            file.write_all(&chunk[..count])?;
        }
    }

    /// Moves a file that was downloaded to its place.
    pub(crate) fn put(&mut self, url: &str, source: &Path, path: &str) -> Result<(), StageError> {
        self.take(path).map_err(|_| FetchError::Overwrites { url: url.to_owned(), path: path.into() })?;
        let target = self.below(path)?;
        self.num_files += 1;
        self.size_bytes += fs::metadata(source)?.len();
        Ok(fs::rename(source, target)?)
    }

    fn below(&self, path: &str) -> Result<PathBuf, StageError> {
        let target = self.root.join(path);
        fs::create_dir_all(target.parent().unwrap_or(&self.root))?;
        Ok(target)
    }

    /// Reserves the path of a file, with the folders above it.
    fn take(&mut self, path: &str) -> Result<(), EntryProblem> {
        let ends = path.match_indices('/').map(|(end, _)| (end, false));
        for (end, is_file) in ends.chain([(path.len(), true)]) {
            let part = &path[..end];
            match self.taken.get(&part.to_lowercase()) {
                None => {
                    self.taken.insert(part.to_lowercase(), Taken { path: part.to_owned(), is_file });
                }
                Some(there) if there.path != part => return Err(EntryProblem::Case(there.path.clone())),
                Some(there) if there.is_file != is_file => return Err(EntryProblem::FileAndFolder),
                Some(_) if is_file => return Err(EntryProblem::Duplicate),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Drops folders from the front of a name. There is nothing left of a folder among those that are dropped.
fn stripped(name: &str, is_file: bool, strip_folders: u32) -> Result<Option<&str>, EntryProblem> {
    let mut below = name;
    while let Some(rest) = below.strip_prefix("./") {
        below = rest;
    }
    if !is_file {
        below = below.strip_suffix('/').filter(|below| !below.is_empty() || name != "/").unwrap_or(below);
        if below == "." || (below.is_empty() && name.starts_with('.')) {
            return Ok(None);
        }
    }
    // As a whole, so that nothing that leads out is dropped unseen.
    check_path(below).map_err(EntryProblem::Path)?;
    for _ in 0..strip_folders {
        match below.split_once('/') {
            Some((_, rest)) => below = rest,
            None if is_file => return Err(EntryProblem::Shallow(strip_folders)),
            None => return Ok(None),
        }
    }
    Ok(Some(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, is_file: bool, strip_folders: u32, expect: Result<Option<&str>, EntryProblem>) {
        assert_eq!(stripped(name, is_file, strip_folders), expect, "{name}");
    }

    #[test]
    fn names_are_stripped_and_nothing_leads_out() {
        use EntryProblem::{Path, Shallow};
        check("a/b/c.avi", true, 1, Ok(Some("b/c.avi")));
        check("./a/b.avi", true, 0, Ok(Some("a/b.avi")));
        check("a/", false, 1, Ok(None));
        check("a/b/", false, 1, Ok(Some("b")));
        check("./", false, 0, Ok(None));
        check("readme", true, 1, Err(Shallow(1)));
        check("../a/b", true, 1, Err(Path("leads out of the folder")));
        check("a/../../b", true, 0, Err(Path("leads out of the folder")));
        check("/etc/passwd", true, 1, Err(Path("is absolute")));
        check("/", false, 0, Err(Path("is absolute")));
        check("a//b", true, 0, Err(Path("has an empty part")));
        check("", true, 0, Err(Path("is empty")));
        check("a\u{1b}[2J", true, 0, Err(Path("has a control character in it")));
        check("C:\\windows", true, 0, Err(Path("has a backslash in it")));
    }
}
