//! [`IngestError`].

use std::path::PathBuf;

/// What can go wrong while a folder is read.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The root is one file.
    #[error("{} is a file, not a folder of videos", root.display())]
    NotAFolder {
        /// The file.
        root: PathBuf,
    },
    /// No file fits the globs.
    #[error("no video lies in {} that fits {}{}", root.display(), include.join(", "), without(exclude))]
    NoFiles {
        /// The folder.
        root: PathBuf,
        /// Globs.
        include: Vec<String>,
        /// Globs.
        exclude: Vec<String>,
    },
    /// Files fit, but none is a readable video.
    #[error("none of {num_files} files in {} is a readable video: {list}", root.display())]
    NoneUsable {
        /// The folder.
        root: PathBuf,
        /// Files looked at.
        num_files: usize,
        /// The first of them, with reasons.
        list: String,
    },
    /// With `on_error: fail`.
    #[error("{num_unusable} of {num_files} files are no readable videos: {list}")]
    Unusable {
        /// Of these.
        num_unusable: usize,
        /// Files looked at.
        num_files: usize,
        /// The first of them, with reasons.
        list: String,
    },
    /// A glob can't be read.
    #[error("a glob can't be read")]
    Glob(#[from] globset::Error),
    /// A file can't be read that could be read just now.
    #[error("{} can't be read: {reason}", path.display())]
    Lost {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// What a part has left can't be read.
    #[error("{} can't be read", path.display())]
    Notes {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
}

fn without(exclude: &[String]) -> String {
    if exclude.is_empty() { String::new() } else { format!(", without {}", exclude.join(", ")) }
}
