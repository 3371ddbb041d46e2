//! [`OutputTree`]: the output folder of downloaded and unpacked files. Start with [`OutputTree::entry`].

use crate::entry::{Entry, EntryKind};
use crate::{EntryProblem, FetchError};
use fs_err as fs;
use pipe_schemas::stages::fetch::{FetchParams, check_path};
use pipe_stage::{Context, StageError};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Number of bytes to copy at once.
const CHUNK_BYTES: usize = 1 << 18;

/// The output folder. It contains no links, because nothing else writes to it.
pub(crate) struct OutputTree<'a> {
    context: &'a Context,
    root: PathBuf,
    strip_folders: u32,
    max_bytes: u64,
    max_files: u64,
    /// The paths that are in use, by their lower-case form.
    taken: BTreeMap<String, Taken>,
    num_files: u64,
    num_entries: u64,
    size_bytes: u64,
}

struct Taken {
    path: String,
    is_file: bool,
}

/// An archive that is being unpacked, and its target.
#[derive(Debug, Clone)]
pub(crate) struct Unpacking {
    /// The name of the archive in messages.
    pub(crate) archive: String,
    /// The folder to unpack it into; empty for the output folder itself.
    pub(crate) into: String,
    /// The archive was inside another archive.
    pub(crate) nested: bool,
}

/// Where an entry is written.
pub(crate) enum Destination {
    /// Nowhere: the entry is a folder.
    None,
    /// To this path, relative to the output folder.
    File(String),
}

impl Unpacking {
    fn error(&self, name: &[u8], problem: EntryProblem) -> StageError {
        let entry = String::from_utf8_lossy(name).into_owned();
        FetchError::Entry { archive: self.archive.clone(), entry, problem }.into_stage_error()
    }
}

impl<'a> OutputTree<'a> {
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

    /// Returns the number of files and their total size.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.num_files, self.size_bytes)
    }

    /// Decides where an entry is written, and whether it may be unpacked.
    pub(crate) fn entry(&mut self, from: &Unpacking, entry: &Entry) -> Result<Destination, StageError> {
        let wrong = |problem| from.error(&entry.name, problem);
        self.num_entries += 1;
        if self.num_entries > self.max_files {
            return Err(wrong(EntryProblem::Files(self.max_files)));
        }
        let is_file = match entry.kind {
            EntryKind::File => true,
            EntryKind::Folder => false,
            EntryKind::Special(what) => return Err(wrong(EntryProblem::Special(what))),
            EntryKind::Unsupported(why) => return Err(wrong(EntryProblem::Unsupported(why))),
        };
        let name = str::from_utf8(&entry.name).map_err(|_| wrong(EntryProblem::NotUtf8))?;
        let strip_folders = if from.nested { 0 } else { self.strip_folders };
        let Some(below) = stripped(name, is_file, strip_folders).map_err(wrong)? else { return Ok(Destination::None) };
        let path = if from.into.is_empty() { below.to_owned() } else { format!("{}/{below}", from.into) };
        check_path(&path).map_err(|problem| wrong(EntryProblem::Path(problem)))?;
        Ok(if is_file { Destination::File(path) } else { Destination::None })
    }

    /// Writes the content of an entry to its destination.
    pub(crate) fn write(
        &mut self,
        from: &Unpacking,
        name: &[u8],
        path: &str,
        content: &mut dyn Read,
    ) -> Result<(), StageError> {
        self.reserve(path).map_err(|problem| from.error(name, problem))?;
        let target = self.below(path)?;
        self.num_files += 1;
        self.copy(from, name, &target, content)
    }

    /// Copies content to a new file. Exceeding `max_bytes` is an error.
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
                return Err(from.error(name, EntryProblem::Bytes(self.max_bytes)));
            }
            file.write_all(&chunk[..count])?;
        }
    }

    /// Moves a downloaded file to its destination.
    pub(crate) fn put(&mut self, url: &str, source: &Path, path: &str) -> Result<(), StageError> {
        self.reserve(path).map_err(|_| FetchError::Overwrites { url: url.to_owned(), path: path.into() })?;
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

    /// Reserves the path of a file and of the folders above it.
    fn reserve(&mut self, path: &str) -> Result<(), EntryProblem> {
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

/// Removes leading folders from a name. Returns `None` for a folder that is removed itself.
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
    // The whole path is checked, so that removing folders can't hide a `..`.
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
    fn leading_folders_are_removed_and_no_path_leads_out() {
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
        check("a//b", true, 0, Err(Path("contains an empty part or `.`")));
        check("", true, 0, Err(Path("is empty")));
        check("a\u{1b}[2J", true, 0, Err(Path("contains a control character")));
        check("C:\\windows", true, 0, Err(Path("contains a backslash")));
    }
}
