//! [`FetchError`].

use pipe_stage::StageError;
use std::path::PathBuf;

/// What can go wrong while files are fetched. Urls are told without their query, which may hold a token.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The file does not come.
    #[error("{url} can't be downloaded: {reason}")]
    Download {
        /// From where.
        url: String,
        /// Why.
        reason: String,
    },
    /// Something else came.
    #[error("{url} is not what it should be: its {algorithm} is {found}, expected {expected}")]
    Digest {
        /// From where.
        url: String,
        /// How it was hashed.
        algorithm: &'static str,
        /// As the parameters say.
        expected: String,
        /// Of what came.
        found: String,
    },
    /// There is no end to it.
    #[error("{url} has more than the {limit} bytes that `max_bytes` allows")]
    TooLarge {
        /// From where.
        url: String,
        /// As the parameters say.
        limit: u64,
    },
    /// A file is no archive that we know.
    #[error("{archive} is no zip, tar or rar")]
    NoArchive {
        /// Its name.
        archive: String,
    },
    /// An archive can't be read.
    #[error("{archive} can't be read to its end")]
    Broken {
        /// Its name.
        archive: String,
        /// Why.
        source: std::io::Error,
    },
    /// An archive holds something that must not be unpacked, or does not fit.
    #[error("{archive} is not unpacked: its entry {entry:?} {problem}")]
    Entry {
        /// Its name.
        archive: String,
        /// The entry's name, as far as it is text.
        entry: String,
        /// What is wrong.
        problem: EntryProblem,
    },
    /// An archive has no file in it.
    #[error("{archive} has no files in it")]
    Empty {
        /// Its name.
        archive: String,
    },
    /// The program that reads rar files is not there.
    #[error("{archive} is a rar, and `bsdtar`, which reads them, can't be started")]
    NoBsdtar {
        /// The archive's name.
        archive: String,
        /// Why.
        source: std::io::Error,
    },
    /// Two files are to go to one place.
    #[error("{url} would overwrite {}, which another of the files is", path.display())]
    Overwrites {
        /// The later one.
        url: String,
        /// Below `files`.
        path: PathBuf,
    },
}

impl FetchError {
    /// Adds what the user can do.
    pub(crate) fn told(self) -> StageError {
        let help = match &self {
            Self::Download { .. } => "what is here of it is kept: another run goes on from there",
            Self::NoArchive { .. } => "`unpack: false` takes a file as it is",
            Self::NoBsdtar { .. } => {
                "install it (`apt install libarchive-tools`, `dnf install bsdtar`) and run again: the download is kept"
            }
            Self::TooLarge { .. } | Self::Entry { problem: EntryProblem::Bytes(_) | EntryProblem::Files(_), .. } => {
                "if that is what it should be, allow more"
            }
            _ => return self.into(),
        };
        StageError::from(self).with_help(help)
    }
}

/// What is wrong with an entry of an archive. The texts follow the entry's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// It would lie outside of its folder, or nowhere.
    #[error("has a path that {0}")]
    Path(&'static str),
    /// Its name is no text.
    #[error("has a name that is not UTF-8")]
    NotUtf8,
    /// It is neither a file nor a folder.
    #[error("is {0}, not a file or a folder")]
    Special(&'static str),
    /// There is a file of that name already.
    #[error("is there twice")]
    Duplicate,
    /// Another entry's path differs in case only: on many systems they are one.
    #[error("differs from {0:?} in case only")]
    Case(String),
    /// It is a file for one entry and a folder for another.
    #[error("is a file and a folder")]
    FileAndFolder,
    /// It lies above the folders that are to be dropped.
    #[error("does not lie in the {0} folders that `strip_folders` drops")]
    Shallow(u32),
    /// There is more than `max_bytes` allows.
    #[error("goes beyond the {0} bytes that `max_bytes` allows")]
    Bytes(u64),
    /// There is more than `max_files` allows.
    #[error("goes beyond the {0} files and folders that `max_files` allows")]
    Files(u64),
    /// A part of an archive's format that we do not read.
    #[error("{0}")]
    Unsupported(&'static str),
}
