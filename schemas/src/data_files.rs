//! Which files of a data folder are data: [`is_left_behind`] and [`with_lower_case_extension`].

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Names that systems and programs give to files and folders of their own, beside all names that begin with a dot.
const OF_SYSTEMS: [&str; 11] = [
    "@eaDir",
    "@Recycle",
    "#recycle",
    "#snapshot",
    "__MACOSX",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "Thumbs.db",
    "desktop.ini",
    "RECYCLER",
];

/// Returns whether a file or folder of this name is hidden, or left behind by a system or program: `.ipynb_checkpoints`,
/// `._1.mp4`, `@eaDir`. Such files are not data.
pub fn is_left_behind(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || OF_SYSTEMS.iter().any(|of_system| name.eq_ignore_ascii_case(of_system))
}

/// Returns the path with its extension in lower case, unless it is.
pub fn with_lower_case_extension(path: &Path) -> Option<PathBuf> {
    let extension = path.extension()?;
    let lower = extension.to_ascii_lowercase();
    (lower != extension).then(|| path.with_extension(lower))
}

/// Returns the name under which files that are left out are counted: `.txt`, or `without an extension`.
pub fn extension_name(path: &Path) -> String {
    match path.extension() {
        Some(extension) => format!(".{}", extension.to_ascii_lowercase().to_string_lossy()),
        None => "without an extension".to_owned(),
    }
}

/// Returns the line that reports the numbers of files and folders that are left out, by what they are, such as
/// `2 files or folders are left out: 1 .txt, 1 excluded`; `None` if there are none.
pub fn left_out_line(counts: &BTreeMap<String, u64>) -> Option<String> {
    let total: u64 = counts.values().sum();
    let list: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let files = if total == 1 { "1 file or folder is" } else { &format!("{total} files or folders are") };
    (total > 0).then(|| format!("{files} left out: {}", list.join(", ")))
}

/// The name under which hidden files and folders, and those of systems, are counted.
pub const LEFT_BEHIND: &str = "hidden or of a system";

/// The name under which the files that `exclude` names are counted.
pub const EXCLUDED: &str = "excluded";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_systems_are_not_data() {
        for name in [".git", "._1.mp4", ".DS_Store", "@eaDir", "__MACOSX", "$Recycle.Bin", "lost+found", "thumbs.db"] {
            assert!(is_left_behind(OsStr::new(name)), "{name}");
        }
        for name in ["1.mp4", "video 2.mp4", "_run", "lost", "eaDir"] {
            assert!(!is_left_behind(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn extensions_are_compared_in_lower_case() {
        let lower = |path: &str| with_lower_case_extension(Path::new(path));
        assert_eq!(lower("A/1.MTS"), Some("A/1.mts".into()));
        assert_eq!(lower("A/1.Mp4"), Some("A/1.mp4".into()));
        assert_eq!(lower("A.B/1.mp4"), None);
        assert_eq!(lower("A.B/README"), None);
        assert_eq!(extension_name(Path::new("a/b.TXT")), ".txt");
        assert_eq!(extension_name(Path::new("a.b/c")), "without an extension");
    }

    #[test]
    fn files_that_are_left_out_are_counted_in_a_line() {
        let line = |counts: &[(&str, u64)]| {
            left_out_line(&counts.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect())
        };
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[(".txt", 1)]).as_deref(), Some("1 file or folder is left out: 1 .txt"));
        let expect = "5 files or folders are left out: 2 .txt, 3 excluded";
        assert_eq!(line(&[(EXCLUDED, 3), (".txt", 2)]).as_deref(), Some(expect));
    }
}
