//! [`CacheError`].

use crate::Digest;
use crate::remote::RemoteError;
use std::path::PathBuf;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A file can't be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A record of the store is not what was written there.
    #[error("{} is not a record of this version of the store", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A record of the store is not what was written there, though it reads like one.
    #[error("{} has changed since it was written", path.display())]
    Altered {
        /// The record.
        path: PathBuf,
    },
    /// What the store holds can't be told, because something in it is damaged.
    #[error("{} can't be read, and what it needs can't be told; verify the store first", path.display())]
    Unreadable {
        /// The record, or the list of files.
        path: PathBuf,
    },
    /// There is no store.
    #[error("there is no store at {}", path.display())]
    NoStore {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A stage wrote something that is neither a file nor a folder.
    #[error("the output {} is neither a file nor a folder", path.display())]
    OddFile {
        /// What it wrote.
        path: PathBuf,
    },
    /// A stage wrote a file whose name is not UTF-8.
    #[error("the output {} has a name that is not UTF-8", path.display())]
    OddName {
        /// What it wrote.
        path: PathBuf,
    },
    /// A stage did not write what its contract promises.
    #[error("the output `{path}` was not written")]
    MissingOutput {
        /// Inside the stage's output folder.
        path: String,
    },
    /// Two parts of a stage wrote one file.
    #[error("the output `{path}` was written by two parts")]
    TwoFiles {
        /// Inside the stage's output folder.
        path: String,
    },
    /// A tree names a file where none may be.
    #[error("{path:?} is no path inside an output")]
    OddPath {
        /// As the tree has it.
        path: String,
    },
    /// The content of a blob is not that of its name.
    #[error("the store's object {} is not what its name says", digest.short())]
    Damaged {
        /// Its name.
        digest: Digest,
    },
    /// A remote failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// An object of the store is gone.
    #[error("the store lacks the object {}", digest.short())]
    Lost {
        /// Which.
        digest: Digest,
    },
}
