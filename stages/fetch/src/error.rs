//! [`FetchError`]: what can go wrong while files are downloaded and unpacked.

use pipe_stage::{StageError, grouped};
use std::path::PathBuf;

/// An error of `fetch`. Messages show URLs without their query, which may contain a token.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum FetchError {
    /// A download failed.
    #[error("can't download {url}: {reason}")]
    Download {
        /// The URL, without its query.
        url: String,
        reason: String,
    },
    /// A downloaded file has the wrong digest.
    #[error("{url} has the wrong digest: {algorithm} is {found}, expected {expected}")]
    Digest {
        /// The URL, without its query.
        url: String,
        algorithm: &'static str,
        expected: String,
        found: String,
    },
    /// A file is larger than `max_bytes`.
    #[error("{url} is larger than `max_bytes`, which is {}", grouped(*limit))]
    TooLarge {
        /// The URL, without its query.
        url: String,
        /// The value of `max_bytes`.
        limit: u64,
    },
    /// A file is not a supported archive.
    #[error("{archive} is not a zip, tar or rar archive")]
    NoArchive { archive: String },
    /// An archive is damaged.
    #[error("{archive} is damaged or incomplete")]
    Broken { archive: String, source: std::io::Error },
    /// An entry of an archive must not be unpacked.
    #[error("can't unpack {archive}: entry {entry:?} {problem}")]
    Entry {
        archive: String,
        /// The name of the entry. Bytes that are not UTF-8 are replaced.
        entry: String,
        problem: EntryProblem,
    },
    /// An archive contains no files.
    #[error("{archive} contains no files")]
    Empty { archive: String },
    /// The program that reads rar archives can't be started.
    #[error("can't start `bsdtar`, which is needed to unpack the rar archive {archive}")]
    NoBsdtar { archive: String, source: std::io::Error },
    /// Two files have the same output path.
    #[error("{url} would overwrite {}, the output of another file", path.display())]
    Overwrites {
        url: String,
        /// The output path, relative to `files`.
        path: PathBuf,
    },
}

impl FetchError {
    /// Adds the help.
    pub(crate) fn into_stage_error(self) -> StageError {
        let help = match &self {
            Self::Download { .. } => "run again to resume the download; the part that was downloaded is kept",
            Self::NoArchive { .. } => "set `unpack: false` to keep the file as it is",
            Self::NoBsdtar { .. } => {
                "install it with `apt install libarchive-tools` or `dnf install bsdtar`, and run again; the download is kept"
            }
            Self::TooLarge { .. } | Self::Entry { problem: EntryProblem::Bytes(_) | EntryProblem::Files(_), .. } => {
                "if the files are really this large, raise the limit"
            }
            Self::Digest { .. }
            | Self::Broken { .. }
            | Self::Entry { .. }
            | Self::Empty { .. }
            | Self::Overwrites { .. } => return self.into(),
        };
        StageError::from(self).with_help(help)
    }
}

/// Why an entry of an archive is not unpacked. The messages follow the name of the entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// Its path is not valid inside a folder.
    #[error("has a path that {0}")]
    Path(&'static str),
    /// Its name is not UTF-8.
    #[error("has a name that is not UTF-8")]
    NotUtf8,
    /// It is neither a file nor a folder.
    #[error("is {0}, not a file or a folder")]
    Special(&'static str),
    /// Another entry has the same name.
    #[error("exists twice")]
    Duplicate,
    /// The path of another entry differs only in case: on many systems, both are the same file.
    #[error("differs from {0:?} only in case")]
    Case(String),
    /// Its path is both a file and a folder.
    #[error("is both a file and a folder")]
    FileAndFolder,
    /// It has fewer folders than `strip_folders` removes.
    #[error("is not inside {0} folders, which `strip_folders` would remove")]
    Shallow(u32),
    /// The unpacked files are larger than `max_bytes`.
    #[error("exceeds `max_bytes`, which is {}", grouped(*.0))]
    Bytes(u64),
    /// There are more entries than `max_files`.
    #[error("exceeds `max_files`, which is {}", grouped(*.0))]
    Files(u64),
    /// It uses a feature of the format that is not supported.
    #[error("{0}")]
    Unsupported(&'static str),
}
