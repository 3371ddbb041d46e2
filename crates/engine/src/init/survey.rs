//! [`Survey`]: the videos and lists below a folder.

use super::count;
use fs_err as fs;
use pipe_schemas::stages::ingest::EXTENSIONS;
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Deeper folders are not read, and counted.
const MAX_DEPTH: usize = 12;
/// Number of bytes of a list that decide its format.
const HEAD_BYTES: u64 = 1 << 16;
/// Folders that operating systems and storage devices make.
const SYSTEM: [&str; 4] = ["@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found"];
const LIST_EXTENSIONS: [&str; 5] = ["txt", "csv", "tsv", "json", "jsonl"];

/// What is below a folder.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Paths of the videos, relative to the folder, sorted.
    pub(super) videos: Vec<String>,
    /// Text files that may be lists, sorted by path.
    pub(super) lists: Vec<ListFile>,
    /// Number of other files.
    pub(super) num_others: usize,
    num_hidden: usize,
    num_odd_names: usize,
    num_unreadable: usize,
    /// Folders that were read, by device and inode: links may lead in a circle.
    seen: BTreeSet<(u64, u64)>,
}

/// A text file that may be a list.
#[derive(Debug, Clone)]
pub(super) struct ListFile {
    /// Relative to the folder.
    pub(super) path: String,
    /// Its first lines; the last one is whole.
    pub(super) head: String,
}

impl ListFile {
    /// Returns folder and name.
    pub(super) fn split(&self) -> (&str, &str) {
        self.path.rsplit_once('/').unwrap_or(("", &self.path))
    }
}

impl Survey {
    /// Lists the files below `folder`.
    pub(super) fn of(folder: &Path) -> std::io::Result<Self> {
        let mut survey = Self::default();
        drop(fs::read_dir(folder)?); // of all folders, this one must be readable
        survey.read(folder, "", 0);
        survey.videos.sort();
        survey.lists.sort_by(|one, two| one.path.cmp(&two.path));
        Ok(survey)
    }

    fn read(&mut self, folder: &Path, below: &str, depth: usize) {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let Ok(entries) = entries else {
            self.num_unreadable += 1;
            return;
        };
        for entry in entries {
            let Ok(name) = entry.file_name().into_string() else {
                self.num_odd_names += 1;
                continue;
            };
            if name.starts_with('.') || SYSTEM.contains(&name.as_str()) {
                self.num_hidden += 1;
                continue;
            }
            let path = format!("{below}{name}");
            match fs::metadata(entry.path()) {
                Err(_) => self.num_unreadable += 1,
                Ok(metadata) if metadata.is_dir() => {
                    if depth >= MAX_DEPTH {
                        self.num_unreadable += 1;
                    } else if self.seen.insert((metadata.dev(), metadata.ino())) {
                        self.read(&entry.path(), &format!("{path}/"), depth + 1);
                    }
                }
                Ok(_) if is_video(&path) => self.videos.push(path),
                Ok(_) => self.add_list(&entry.path(), path),
            }
        }
    }

    /// Adds a text file; others are counted.
    fn add_list(&mut self, file: &Path, path: String) {
        let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
        let head = if LIST_EXTENSIONS.contains(&extension.as_str()) { head(file).ok() } else { None };
        match head {
            Some(head) => self.lists.push(ListFile { path, head }),
            None => self.num_others += 1,
        }
    }

    /// Returns lines about what was not looked at.
    pub(super) fn remarks(&self) -> Vec<String> {
        let skipped = [
            (self.num_hidden, "hidden or system file or folder", "hidden or system files or folders"),
            (self.num_odd_names, "name that is not UTF-8", "names that are not UTF-8"),
            (self.num_unreadable, "unreadable file or folder", "unreadable files or folders"),
        ];
        let skipped = skipped.into_iter().filter(|(count, ..)| *count > 0);
        let mut remarks: Vec<String> = skipped
            .map(|(count, one, many)| format!("left out: {count} {}", if count == 1 { one } else { many }))
            .collect();
        if self.num_others > 0 {
            remarks.push(format!("neither videos nor lists: {}", count(self.num_others, "file")));
        }
        remarks
    }

    /// Returns the longest folder that contains all videos, without `/` at its end.
    pub(super) fn video_folder(&self) -> &str {
        let (Some(first), Some(last)) = (self.videos.first(), self.videos.last()) else { return "" };
        let common = first.bytes().zip(last.bytes()).take_while(|(one, two)| one == two).count();
        first[..first[..floor(first, common)].rfind('/').unwrap_or(0)].trim_end_matches('/')
    }
}

/// Returns the nearest start of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Returns the start of a text file, up to the end of a line.
fn head(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(HEAD_BYTES).read_to_end(&mut bytes)?;
    let is_whole = (bytes.len() as u64) < HEAD_BYTES;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}');
    let end = if is_whole { text.len() } else { text.rfind(['\n', '\r']).unwrap_or(text.len()) };
    Ok(text[..end].to_owned())
}

/// Returns whether a path has the extension of a video file, in any letter case.
pub(super) fn is_video(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}
