//! [`IngestError`]: why the stage failed.

use pipe_stage::HelperFailure;
use std::path::PathBuf;

/// Why the stage `ingest` failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum IngestError {
    /// The root is a file.
    #[error("{} is a file, not a folder of videos", root.display())]
    NotAFolder { root: PathBuf },
    /// No file matches the globs.
    #[error("no file in {} matches {}{}", root.display(), include.join(", "), except(exclude))]
    NoFiles {
        root: PathBuf,
        /// Globs of the parameter `include`.
        include: Vec<String>,
        /// Globs of the parameter `exclude`.
        exclude: Vec<String>,
    },
    /// Files match, but none is a readable video.
    #[error("no file in {} is a readable video, of {num_files} examined: {list}", root.display())]
    NoneUsable {
        root: PathBuf,
        num_files: usize,
        /// The first ten files, with reasons.
        list: String,
    },
    /// Some files are not readable videos, with `on_error: fail`.
    #[error("{}: {list}", not_readable(*num_unusable, *num_files))]
    Unusable {
        /// Number of files that are not readable videos.
        num_unusable: usize,
        num_files: usize,
        /// The first ten files, with reasons.
        list: String,
    },
    /// A glob is not valid.
    #[error("a glob is not valid")]
    Glob(#[from] globset::Error),
    /// A file that was read before can't be read again.
    #[error("{} can't be read: {reason}", path.display())]
    Lost { path: PathBuf, reason: String },
    /// Examining a file failed, and the file is not the cause.
    #[error("{} could not be examined: {failure}", path.display())]
    Machine {
        path: PathBuf,
        /// How the helper process ended, without other helpers beside it.
        failure: HelperFailure,
    },
    /// The notes of a part are damaged.
    #[error("{} is not valid JSON of examined files", path.display())]
    Notes { path: PathBuf, source: serde_json::Error },
}

fn except(exclude: &[String]) -> String {
    if exclude.is_empty() { String::new() } else { format!(", except {}", exclude.join(", ")) }
}

/// Returns `1 of 3 files is not a readable video`, in the right number.
pub(crate) fn not_readable(num_unusable: usize, num_files: usize) -> String {
    let what = if num_unusable == 1 { "is not a readable video" } else { "are not readable videos" };
    format!("{num_unusable} of {num_files} files {what}")
}
