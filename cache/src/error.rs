//! [`CacheError`]: what can go wrong with the store.

use crate::Digest;
use crate::remote::RemoteError;
use std::path::PathBuf;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum CacheError {
    /// A file can't be read or written. The message contains its path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file of the store has an invalid format.
    #[error("{} is not a record of this version of the store", path.display())]
    Record { path: PathBuf, source: serde_json::Error },
    /// A record was changed after it was written.
    #[error("{} was changed after it was written", path.display())]
    Altered { path: PathBuf },
    /// A damaged file hides which objects are still needed.
    #[error("{} is damaged, so it is unknown which objects it needs; run `pipe cache verify` first", path.display())]
    Unreadable {
        /// The record or list of files.
        path: PathBuf,
    },
    /// There is no store.
    #[error("there is no store `{}`; `pipe run FILE` makes one, `--store DIR` names another", root.display())]
    NoStore {
        /// The expected `.pipe` folder.
        root: PathBuf,
    },
    /// A stage wrote something that is neither a file nor a folder.
    #[error("the output {} is neither a file nor a folder", path.display())]
    NotAFile { path: PathBuf },
    /// A stage wrote a file whose name is not UTF-8.
    #[error("the output {} has a name that is not UTF-8", path.display())]
    NonUtf8Name { path: PathBuf },
    /// A stage did not write an output of its contract.
    #[error("the output `{path}` was not written")]
    MissingOutput {
        /// Relative to the stage's output folder.
        path: String,
    },
    /// Two parts of a stage wrote the same file.
    #[error("the output `{path}` was written by two parts")]
    TwoFiles {
        /// Relative to the stage's output folder.
        path: String,
    },
    /// A tree contains a path that is not valid inside an output.
    #[error("{path:?} is not a valid path inside an output")]
    InvalidPath { path: String },
    /// The content of a blob does not have the digest of its name.
    #[error("object {} of the store is damaged", digest.short())]
    Damaged { digest: Digest },
    /// A remote failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// An object is missing in the store.
    #[error("object {} is missing in the store", digest.short())]
    Lost { digest: Digest },
}
