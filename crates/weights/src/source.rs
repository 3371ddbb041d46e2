//! [`WeightsSource`]: the file or folder that a user names as a checkpoint.

use crate::{Checkpoint, FileDigests, HfConfig, WeightsError};
use std::path::{Path, PathBuf};

/// The file or folder that a user names as a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightsSource {
    path: PathBuf,
    /// The files of the folder, below it; `None` for a file.
    files: Option<Vec<String>>,
}

/// A file or folder that can't be the one that the user means.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum SourceError {
    /// The file can't be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// There are no files of weights.
    #[error("there is no file of weights in {}", path.display())]
    Empty { path: PathBuf },
    /// The file has another content.
    #[error(
        "the digest of {} is not {expected}, but sha256:{} and blake3:{}", path.display(), found.sha256, found.blake3
    )]
    OtherDigest {
        path: PathBuf,
        /// The digest that was given.
        expected: String,
        found: FileDigests,
    },
    /// A digest is given for several files.
    #[error("{} is a folder of several files, which have no common digest", path.display())]
    DigestOfFolder { path: PathBuf },
}

impl SourceError {
    /// Returns what to do about it, where parameters of the checkpoint are below `load_from`.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Weights(error) => error.help(),
            Self::Empty { .. } => None,
            Self::OtherDigest { .. } => Some(
                "the file is another version, or its download is damaged: get it again, or correct `load_from.digest`",
            ),
            Self::DigestOfFolder { .. } => {
                Some("name the file of weights itself in `load_from.checkpoint`, or leave out `load_from.digest`")
            }
        }
    }
}

impl WeightsSource {
    /// Returns the source for `files` of the folder `root`, or for the file `root`.
    ///
    /// # Errors
    /// [`SourceError::Empty`] if there are no files.
    pub fn new(root: PathBuf, files: &[&str]) -> Result<Self, SourceError> {
        match files {
            [] => Err(SourceError::Empty { path: root }),
            [file] => Ok(Self { path: if root.is_dir() { root.join(file) } else { root }, files: None }),
            several => Ok(Self { path: root, files: Some(several.iter().map(|file| (*file).to_owned()).collect()) }),
        }
    }

    /// Returns the path of the file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the tensors.
    ///
    /// # Errors
    /// Those of [`Checkpoint::open`] and [`Checkpoint::open_folder`].
    pub fn open(&self) -> Result<Checkpoint, WeightsError> {
        match self.names() {
            Some(names) => Checkpoint::open_folder(&self.path, &names),
            None => Checkpoint::open(&self.path),
        }
    }

    /// Reads the `config.json` of a folder, if there is one.
    ///
    /// # Errors
    /// Those of [`HfConfig::open`].
    pub fn config(&self) -> Result<Option<HfConfig>, WeightsError> {
        self.names().map_or(Ok(None), |names| HfConfig::of_folder(&self.path, &names))
    }

    /// Checks the SHA-256 or BLAKE3 of a file, see [`FileDigests::contain`].
    ///
    /// # Errors
    /// [`SourceError::OtherDigest`] if it is another one, [`SourceError::DigestOfFolder`] for several files.
    pub fn check_digest(&self, expected: &str) -> Result<(), SourceError> {
        let path = self.path.clone();
        if self.files.is_some() {
            return Err(SourceError::DigestOfFolder { path });
        }
        let found = FileDigests::of(&path)?;
        if found.contain(expected) {
            return Ok(());
        }
        Err(SourceError::OtherDigest { path, expected: expected.to_owned(), found })
    }

    fn names(&self) -> Option<Vec<&str>> {
        self.files.as_ref().map(|files| files.iter().map(String::as_str).collect())
    }
}
