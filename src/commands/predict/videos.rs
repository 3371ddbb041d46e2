//! [`find`]: the videos that the arguments of `pipe predict` name.

use crate::error::CommandError;
use globset::{Glob, GlobBuilder, GlobMatcher};
use pipe_schemas::data_files::{LEFT_BEHIND, extension_name, is_left_behind};
use pipe_schemas::stages::ingest::EXTENSIONS;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// What arguments name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// The videos: each argument's in the order of their paths.
    pub(super) videos: Vec<PathBuf>,
    /// How many other files are in the folders, by what they are: `.gif`.
    pub(super) left_out: BTreeMap<String, u64>,
}

/// The name under which links are counted that would be followed for ever.
const CYCLE: &str = "link to a folder that contains it";

/// Returns the files that arguments name: a file itself, the videos below a folder, or the files that match a pattern. As for `ingest`,
/// hidden files and those of systems are not data. A path that does not exist, or a link to nothing, stays, and has a row with the reason.
pub(super) fn find(arguments: &[PathBuf]) -> Result<Found, CommandError> {
    let mut found = Found::default();
    for argument in arguments {
        if argument.is_dir() {
            found.add_folder(argument)?;
        } else if let Some(text) = argument.to_str().filter(|text| !argument.exists() && text.contains(['*', '?', '[']))
        {
            found.videos.extend(matching(text)?);
        } else {
            found.videos.push(argument.clone());
        }
    }
    Ok(found)
}

impl Found {
    fn add_folder(&mut self, folder: &Path) -> Result<(), CommandError> {
        let walk = Walk::below(folder, Vec::new())?;
        let (videos, others): (Vec<PathBuf>, Vec<PathBuf>) =
            walk.files.into_iter().partition(|path| has_extension_of_video(path));
        if videos.is_empty() {
            return Err(CommandError::bad_input(format!("the folder {} has no videos", folder.display())));
        }
        self.videos.extend(videos);
        let others = others.iter().map(|path| (extension_name(path), 1));
        for (what, count) in others.chain(walk.left_out) {
            *self.left_out.entry(what).or_default() += count;
        }
        Ok(())
    }
}

/// Returns the files that match a pattern.
fn matching(pattern: &str) -> Result<Vec<PathBuf>, CommandError> {
    let wrong = |error: globset::Error| CommandError::bad_input(error.to_string());
    let glob = glob(pattern).map_err(wrong)?.compile_matcher();
    // Parts that match names which are not data otherwise.
    let named = pattern.split('/').filter(|part| is_left_behind(OsStr::new(part)));
    let named = named.map(|part| Ok(self::glob(part)?.compile_matcher())).collect::<Result<_, _>>().map_err(wrong)?;
    // The part before the first special character.
    let is_plain = |part: &Component| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let root: PathBuf = Path::new(pattern).components().take_while(is_plain).collect();
    let is_here = root.as_os_str().is_empty();
    let folder = if is_here { Path::new(".") } else { root.as_path() };
    let files = if folder.is_dir() { Walk::below(folder, named)?.files } else { Vec::new() };
    // As the pattern is written.
    let plain = |path: PathBuf| if is_here { path.strip_prefix(".").map(Path::to_owned).unwrap_or(path) } else { path };
    let found: Vec<PathBuf> = files.into_iter().map(plain).filter(|path| glob.is_match(path)).collect();
    if found.is_empty() {
        return Err(CommandError::bad_input(format!("no file matches `{pattern}`")));
    }
    Ok(found)
}

fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}

/// The files below a folder. Links are followed.
#[derive(Default)]
struct Walk {
    /// Names that are not data otherwise.
    named: Vec<GlobMatcher>,
    files: Vec<PathBuf>,
    left_out: BTreeMap<String, u64>,
    /// Device and inode of the folders that contain what is read now.
    inside: Vec<(u64, u64)>,
}

impl Walk {
    /// Returns all files below a folder, sorted. Links to nothing and pipes are among them, so that each has a row with the reason.
    fn below(folder: &Path, named: Vec<GlobMatcher>) -> Result<Self, CommandError> {
        let mut walk = Self { named, ..Self::default() };
        walk.folder(folder)?;
        walk.files.sort();
        Ok(walk)
    }

    fn folder(&mut self, folder: &Path) -> Result<(), CommandError> {
        let metadata = fs_err::metadata(folder)?;
        let id = (metadata.dev(), metadata.ino());
        if self.inside.contains(&id) {
            self.leave_out(CYCLE);
            return Ok(());
        }
        self.inside.push(id);
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            if self.is_left_behind(&entry.file_name()) {
                self.leave_out(LEFT_BEHIND);
            } else if entry.path().is_dir() {
                self.folder(&entry.path())?;
            } else {
                self.files.push(entry.path());
            }
        }
        self.inside.pop();
        Ok(())
    }

    fn is_left_behind(&self, name: &OsStr) -> bool {
        is_left_behind(name) && !self.named.iter().any(|named| named.is_match(Path::new(name)))
    }

    fn leave_out(&mut self, what: &str) {
        *self.left_out.entry(what.to_owned()).or_default() += 1;
    }
}

fn has_extension_of_video(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_patterns_and_missing_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs_err::create_dir(path("b")).expect("a folder");
        for name in ["z.avi", "b/y.MP4", "b/x.mp4", "b/notes.txt"] {
            fs_err::write(path(name), "").expect("a file");
        }
        let check = |argument: PathBuf, expect: &[&str]| {
            let expect: Vec<PathBuf> = expect.iter().map(|name| path(name)).collect();
            assert_eq!(find(&[argument]).expect("found").videos, expect);
        };
        check(folder.path().to_owned(), &["b/x.mp4", "b/y.MP4", "z.avi"]);
        check(path("b/*.mp4"), &["b/x.mp4"]);
        check(path("**/*.{avi,mp4}"), &["b/x.mp4", "z.avi"]);
        check(path("*.avi"), &["z.avi"]);
        check(path("missing.mp4"), &["missing.mp4"]);
        check(path("b/notes.txt"), &["b/notes.txt"]);
        assert!(find(&[path("*.mkv")]).is_err() && find(&[path("[")]).is_err());
        fs_err::create_dir(path("empty")).expect("a folder");
        assert!(find(&[path("empty")]).is_err());
    }

    #[test]
    fn files_that_are_not_data_are_counted_and_links_to_nothing_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["a.mp4", "b.gif", "c.gif", "._a.mp4", ".12.partial.mp4", ".Trash/d.mp4", "@eaDir/t.mp4", "e"] {
            fs_err::create_dir_all(path(name).parent().expect("a folder")).expect("made");
            fs_err::write(path(name), "").expect("written");
        }
        let link = |to: &str, at: &str| fs_err::os::unix::fs::symlink(to, path(at)).expect("a link");
        link("nowhere", "gone.mp4");
        link(".", "again");
        let found = find(&[folder.path().to_owned()]).expect("found");
        assert_eq!(found.videos, [path("a.mp4"), path("gone.mp4")]);
        let left_out: Vec<(&str, u64)> = found.left_out.iter().map(|(what, count)| (what.as_str(), *count)).collect();
        assert_eq!(left_out, [(".gif", 2), (LEFT_BEHIND, 4), (CYCLE, 1), ("without an extension", 1)]);
        // A pattern that names hidden files, and one that does not.
        let videos = |name: &str| find(&[path(name)]).expect("found").videos;
        assert_eq!(videos("*.mp4"), [path("a.mp4"), path("gone.mp4")]);
        assert_eq!(videos("._*.mp4"), [path("._a.mp4")]);
        assert_eq!(videos(".Trash/*"), [path(".Trash/d.mp4")]);
    }
}
