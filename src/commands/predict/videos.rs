//! [`find`]: the videos that the arguments of `pipe predict` name.

use crate::error::CommandError;
use globset::GlobBuilder;
use pipe_schemas::stages::ingest::EXTENSIONS;
use std::path::{Component, Path, PathBuf};

/// Returns the files that arguments name, each argument's in the order of their paths: a file itself, the videos below a folder, or
/// the files that match a pattern. A path that does not exist stays, and has a row with the reason.
pub(super) fn find(arguments: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    let mut found = Vec::new();
    for argument in arguments {
        if argument.is_dir() {
            let files = files_below(argument)?;
            let videos: Vec<PathBuf> = files.into_iter().filter(|path| has_extension_of_video(path)).collect();
            if videos.is_empty() {
                return Err(CommandError::bad_input(format!("the folder {} has no videos", argument.display())));
            }
            found.extend(videos);
        } else if let Some(text) = argument.to_str().filter(|text| !argument.exists() && text.contains(['*', '?', '[']))
        {
            found.extend(matching(text)?);
        } else {
            found.push(argument.clone());
        }
    }
    Ok(found)
}

/// Returns the files that match a pattern.
fn matching(pattern: &str) -> Result<Vec<PathBuf>, CommandError> {
    let wrong = |error: globset::Error| CommandError::bad_input(error.to_string());
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(wrong)?.compile_matcher();
    // The part before the first special character.
    let is_plain = |part: &Component| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let root: PathBuf = Path::new(pattern).components().take_while(is_plain).collect();
    let folder = if root.as_os_str().is_empty() { Path::new(".") } else { root.as_path() };
    let files = if folder.is_dir() { files_below(folder)? } else { Vec::new() };
    let plain = |path: PathBuf| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path);
    let found: Vec<PathBuf> = files.into_iter().map(plain).filter(|path| glob.is_match(path)).collect();
    if found.is_empty() {
        return Err(CommandError::bad_input(format!("no file matches `{pattern}`")));
    }
    Ok(found)
}

/// Returns all files below a folder, sorted. Links to folders are not followed.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let (mut files, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            let file_type = entry.file_type()?;
            if file_type.is_dir() {
                open.push(entry.path());
            } else if file_type.is_file() || entry.path().is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
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
            assert_eq!(find(&[argument]).map_err(|error| format!("{error:?}")), Ok(expect));
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
}
