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
    #[error("the label lists are wrong in {} places:{}", grouped(*count), Shown { items: problems, count: *count })]
    Lists {
        /// The first ones, in the order of files and lines.
        problems: Vec<Problem>,
        /// All of them.
        count: u64,
    },
    /// The files leave doubt, or tell nothing.
    #[error("the lists in {} are of no format that can be told for sure{}", root.display(), or_these(found))]
    NoFormat {
        /// The folder.
        root: PathBuf,
        /// Formats that fit.
        found: Vec<&'static str>,
    },
    /// There is no label in the lists.
    #[error("the lists have no class")]
    NoClasses,
    /// A row without a word for its subset.
    #[error("{place} does not say whether it is learnt from or measured on")]
    NoSplit {
        /// The row.
        place: String,
    },
    /// A subset that the parameters name and no row has.
    #[error("the lists have no subset `{word}`: they have {}", quoted(found))]
    NoSubset {
        /// Its name.
        word: String,
        /// Those of the rows.
        found: Vec<String>,
    },
    /// A subset in two places.
    #[error("the subset `{word}` would be learnt from and measured on")]
    SubsetTwice {
        /// Its name.
        word: String,
    },
    /// A validation and a test subset.
    #[error("the lists have more than one subset to measure on: they have {}", quoted(found))]
    TwoTestSubsets {
        /// Those of the rows.
        found: Vec<String>,
    },
    /// Subsets with names of their own.
    #[error("no subset of the lists has a usual name: they have {}", quoted(found))]
    OddSubsets {
        /// Those of the rows.
        found: Vec<String>,
    },
    /// `group` is no regex.
    #[error("`group` has the regex `{regex}`, which is none")]
    Regex {
        /// As given.
        regex: String,
        /// Why.
        source: Box<regex::Error>,
    },
    /// Videos that look alike can't be told, and must be.
    #[error("near-duplicates can't be looked for: the videos were probed, not decoded")]
    NotDecoded,
    /// Checks with the severity `error` found something.
    #[error("{}", findings.join("\n"))]
    Findings {
        /// One text a check.
        findings: Vec<String>,
        /// The names of the checks.
        names: Vec<&'static str>,
    },
    /// A list can't be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The join failed.
    #[error("the lists can't be joined with the videos")]
    Join(#[from] PolarsError),
}

fn or_these(found: &[&str]) -> String {
    if found.is_empty() { String::new() } else { format!(": {} fit", found.join(" and ")) }
}

fn quoted(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { format!("`{}`", words.join("`, `")) }
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
    fn help(&self) -> Option<String> {
        let text = match self {
            Self::NoFile { .. } | Self::TwoFiles { .. } => {
                "UCF101's lists are `classInd.txt`, `trainlist0K.txt` and `testlist0K.txt`, HMDB51's `CLASS_test_splitK.txt`; \
                 those of other formats are named by `train`, `test`, `file` and `label_map`"
            }
            Self::NoFormat { .. } => {
                "set `format`, and where its lists have no names of their own, `train` and `test` or `file`"
            }
            Self::NoClasses => "are the lists empty, or of another format?",
            Self::NoSplit { .. } => {
                "name two lists, `train` and `test`, or a column for `subset`, or let `test_share: 0.2` part the videos"
            }
            Self::NoSubset { .. }
            | Self::SubsetTwice { .. }
            | Self::TwoTestSubsets { .. }
            | Self::OddSubsets { .. } => "say which is which: `subsets: { train: [train], test: [val] }`",
            Self::NotDecoded => {
                "set `verify: decode` in the stage of the kind `ingest`, or `near_duplicates: warn` here"
            }
            Self::Regex { .. } => {
                "write it as in `group: { regex: \"_(g[0-9]+)_\" }`; `(?=` and back references are not known"
            }
            Self::Findings { names, .. } => {
                let names = names.join("`, `");
                return Some(format!(
                    "mend the lists or the folder of videos, or let the check pass: `{names}` may be `warn` or `off`"
                ));
            }
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Adds the help.
    pub(crate) fn into_stage_error(self) -> StageError {
        match self.help() {
            Some(help) => StageError::from(self).with_help(help),
            None => self.into(),
        }
    }
}
