//! [`AnnotationsError`]: what is wrong with label lists, all of it at once.

use pipe_stage::{StageError, grouped};
use polars::error::PolarsError;
use std::fmt;
use std::path::PathBuf;

/// How many problems are shown; the others are counted.
pub(crate) const MAX_SHOWN: usize = 20;

/// What is wrong with label lists.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnnotationsError {
    /// A list is not there.
    #[error("{} has no `{name}`", root.display())]
    NoFile {
        /// The folder.
        root: PathBuf,
        /// The list's file name.
        name: String,
    },
    /// A list is there twice.
    #[error("{} has two `{name}`: {first} and {second}", root.display())]
    TwoFiles {
        /// The folder.
        root: PathBuf,
        /// The list's file name.
        name: String,
        /// One path.
        first: String,
        /// Another path.
        second: String,
    },
    /// A file is too large to be a list.
    #[error("{path} has {} bytes, which is no label list", grouped(*size_bytes))]
    TooLarge {
        /// Below the root.
        path: String,
        /// Its size.
        size_bytes: u64,
    },
    /// Lines of the lists are wrong.
    #[error("the label lists are wrong in {} places:{}", grouped(problems.len() as u64), shown(problems))]
    Lists {
        /// In the order of files and lines.
        problems: Vec<Problem>,
    },
    /// Checks with the severity `error` found something.
    #[error("{}", findings.join("\n"))]
    Findings {
        /// One text a check.
        findings: Vec<String>,
    },
    /// A list can't be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The join failed.
    #[error("the lists can't be joined with the videos")]
    Join(#[from] PolarsError),
}

fn shown<T>(items: &[T]) -> Shown<'_, T> {
    Shown { items, count: items.len() as u64 }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The list's file name.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u32,
    /// As a lower-case fragment.
    pub(crate) message: String,
    /// What would be right.
    pub(crate) help: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.file, self.line, self.message, self.help)
    }
}

/// Writes the first items, each on a line of its own, and how many there are beyond.
pub(crate) struct Shown<'a, T> {
    /// What there is to show.
    pub(crate) items: &'a [T],
    /// How many there are in all.
    pub(crate) count: u64,
}

impl<T: fmt::Display> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.items[..self.items.len().min(MAX_SHOWN)];
        shown.iter().try_for_each(|item| write!(f, "\n  {item}"))?;
        match self.count.saturating_sub(shown.len() as u64) {
            0 => Ok(()),
            more => write!(f, "\n  and {} more", grouped(more)),
        }
    }
}

impl AnnotationsError {
    /// Returns what the user can do, where the text does not say it.
    fn help(&self) -> Option<&'static str> {
        match self {
            Self::NoFile { .. } | Self::TwoFiles { .. } => {
                Some("UCF101's lists are `classInd.txt`, `trainlist0K.txt` and `testlist0K.txt`, all in one folder")
            }
            Self::Findings { .. } => Some(
                "mend the lists or the folder of videos, or let the check pass: `missing`, `unlabelled`, `group_leakage` \
                 and `content_leakage` may be `warn` or `off`",
            ),
            _ => None,
        }
    }

    /// Adds the help.
    pub(crate) fn into_stage_error(self) -> StageError {
        match self.help() {
            Some(help) => StageError::from(self).with_help(help),
            None => self.into(),
        }
    }
}
