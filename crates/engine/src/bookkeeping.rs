//! [`Bookkeeping`]: the files in `.pipe` beside the store, such as `index`, `tools`, `latest` and `runs`.
//!
//! None of them is needed to use a result. A damaged one is rebuilt or left out, with a warning that names the file.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The bookkeeping of a `.pipe` folder, and what a command may do with it.
#[derive(Debug)]
pub struct Bookkeeping {
    root: PathBuf,
    access: Access,
    warnings: Mutex<Warnings>,
}

/// What a command may do with the bookkeeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Read it. Nothing in the folder changes, and a missing folder is not created.
    Read,
    /// Write what it learns, so that the next command is faster.
    Update,
}

/// Each warning is reported once.
#[derive(Debug, Default)]
struct Warnings {
    all: Vec<String>,
    num_taken: usize,
}

impl Bookkeeping {
    /// Returns the bookkeeping of the `.pipe` folder `root`, for a command that only reads.
    pub fn to_read(root: &Path) -> Self {
        Self { root: root.to_owned(), access: Access::Read, warnings: Mutex::default() }
    }

    /// Returns the bookkeeping of the `.pipe` folder `root`, for a command that keeps it up to date.
    pub fn to_update(root: &Path) -> Self {
        Self { access: Access::Update, ..Self::to_read(root) }
    }

    /// Returns the `.pipe` folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Calls `write` if the command may update the bookkeeping. If this user may not write there, the next command is slower, which is
    /// not an error.
    pub(crate) fn update(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self.access {
            Access::Read => Ok(()),
            Access::Update => match write() {
                Err(error) if is_read_only(&error) => Ok(()),
                other => other,
            },
        }
    }

    /// Reports a damaged file; `effect` is what was done about it.
    pub(crate) fn damaged(&self, path: &Path, effect: &str) {
        let warning = format!("{} is damaged; {effect}", path.display());
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.all.contains(&warning) {
            warnings.all.push(warning);
        }
    }

    /// Returns the warnings since the last call.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let new = warnings.all[warnings.num_taken..].to_vec();
        warnings.num_taken = warnings.all.len();
        new
    }
}

/// Returns whether an error means that this user may not write here.
pub(crate) fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_is_returned_once() {
        let kept = Bookkeeping::to_read(Path::new("x"));
        kept.damaged(Path::new("x/a"), "it is written again");
        kept.damaged(Path::new("x/a"), "it is written again");
        assert_eq!(kept.take_warnings(), ["x/a is damaged; it is written again"]);
        kept.damaged(Path::new("x/a"), "it is written again");
        kept.damaged(Path::new("x/b"), "it is left out");
        assert_eq!(kept.take_warnings(), ["x/b is damaged; it is left out"]);
    }
}
