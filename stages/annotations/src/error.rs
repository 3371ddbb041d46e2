//! [`AnnotationsError`]: problems of label lists, all reported at once.

use crate::lists::{Location, shorten};
use pipe_stage::{StageError, grouped};
use polars::error::PolarsError;
use std::fmt;
use std::path::PathBuf;

/// Maximum number of items that a message lists; further ones are only counted.
pub(crate) const MAX_SHOWN: usize = 20;

/// A problem of label lists.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnnotationsError {
    /// A list is missing.
    #[error("{} contains no file `{name}`", root.display())]
    NoFile { root: PathBuf, name: String },
    /// Two files have the name of a list.
    #[error("{} contains two files `{name}`: {first} and {second}", root.display())]
    TwoFiles { root: PathBuf, name: String, first: String, second: String },
    /// A file is too large to be a list.
    #[error("{path} is too large for a label list: {} bytes", grouped(*size_bytes))]
    TooLarge { path: String, size_bytes: u64 },
    /// A list is in an encoding that is not read.
    #[error("{list} is in {encoding}")]
    Encoding { list: String, encoding: &'static str },
    /// Lines of the lists are wrong.
    #[error("the label lists have {}:{}", errors_in_words(*count), ListOfItems { items: errors, count: *count })]
    Lines {
        /// The first ones, in the order of files and lines.
        errors: Vec<LineError>,
        count: u64,
    },
    /// No format fits, or several do.
    #[error("the format of the lists in {} can't be detected: {}", root.display(), candidates(found))]
    NoFormat {
        root: PathBuf,
        /// The formats that fit.
        found: Vec<&'static str>,
    },
    /// The lists contain no label.
    #[error("the lists contain no class")]
    NoClasses,
    /// The folders of `class_folder` have different depths.
    #[error("the videos are in folders of different depth: {}", layouts_in_words(layouts))]
    MixedDepth {
        /// Number of folders, number of videos, and the first of these videos.
        layouts: Vec<(u64, u64, String)>,
    },
    /// A numeric label is far above the number of different labels.
    #[error(
        "the label {highest} ({location}) would make {} classes, but the lists have only {} different {}",
        grouped(*num_classes), grouped(*num_different), if *num_different == 1 { "label" } else { "labels" }
    )]
    FewLabels { highest: i64, location: String, num_classes: u64, num_different: u64 },
    /// A row has no split.
    #[error("{location} is in neither the training nor the test split")]
    NoSplit { location: String },
    /// No row has a subset that the parameters name.
    #[error("the lists have no subset `{word}`, only: {}", quoted(found))]
    NoSubset { word: String, found: Vec<String> },
    /// A subset is used twice.
    #[error("the subset `{word}` is used for both training and test")]
    SubsetTwice { word: String },
    /// There are a validation and a test subset.
    #[error("the lists have both a validation and a test subset: {}", quoted(found))]
    TwoTestSubsets { found: Vec<String> },
    /// All subsets have unusual names.
    #[error("the lists have no known subset, only: {}", quoted(found))]
    UnknownSubsets { found: Vec<String> },
    /// `group` is not a valid regular expression.
    #[error("`{regex}` is not a valid regular expression")]
    Regex { regex: String, source: Box<regex::Error> },
    /// The near-duplicate check is required, but the videos were not decoded.
    #[error("the near-duplicate check needs decoded videos, but `ingest` only probed them")]
    NotDecoded,
    /// Checks of severity `error` found something.
    #[error("{}", findings.join("\n"))]
    Findings { findings: Vec<String>, names: Vec<&'static str> },
    /// A list can't be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The join failed.
    #[error("the lists can't be joined with the videos")]
    Join(#[from] PolarsError),
}

fn errors_in_words(count: u64) -> String {
    if count == 1 { "1 error".to_owned() } else { format!("{} errors", grouped(count)) }
}

fn layouts_in_words(layouts: &[(u64, u64, String)]) -> String {
    let plural = |count: u64, noun: &str| format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" });
    let layout = |(depth, count, path): &(u64, u64, String)| {
        format!("{} as in `{}` ({})", plural(*depth, "folder"), shorten(path), plural(*count, "video"))
    };
    layouts.iter().take(MAX_SHOWN).map(layout).collect::<Vec<_>>().join(", ")
}

fn candidates(found: &[&str]) -> String {
    if found.is_empty() { "no format fits".to_owned() } else { format!("{} fit", found.join(" and ")) }
}

fn quoted(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { format!("`{}`", words.join("`, `")) }
}

/// A problem of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineError {
    /// The name of the list.
    pub(crate) file: String,
    pub(crate) line: u32,
    /// The place in the list, with the row of a JSON file.
    place: String,
    pub(crate) message: String,
    /// How to fix the line.
    pub(crate) help: String,
}

impl LineError {
    pub(crate) fn new(location: &Location, message: impl Into<String>, help: impl Into<String>) -> Self {
        let (file, place) = (location.file.to_string(), location.to_string());
        Self { file, line: location.line, place, message: message.into(), help: help.into() }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.message, self.help)
    }
}

/// Displays the first items, one per line, and the number of further ones.
pub(crate) struct ListOfItems<'a, T> {
    pub(crate) items: &'a [T],
    /// The number of all items; `items` may contain fewer.
    pub(crate) count: u64,
}

impl<T: fmt::Display> fmt::Display for ListOfItems<'_, T> {
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
    /// Returns what the user can do.
    fn help(&self) -> Option<String> {
        let text = match self {
            Self::NoFile { .. } | Self::TwoFiles { .. } => {
                "UCF101 needs `classInd.txt`, `trainlist0K.txt` and `testlist0K.txt`, HMDB51 needs `CLASS_test_splitK.txt`; \
                 for other formats, `train`, `test`, `file` and `label_map` name the files"
            }
            Self::Encoding { .. } => "save the list as UTF-8",
            Self::NoFormat { .. } => "set `format`; most formats also need `train` and `test`, or `file`",
            Self::NoClasses => "check that the lists are not empty and that `format` is right",
            Self::MixedDepth { .. } => {
                "a video's class is the folder that contains it: move the videos so that all have the same number of \
                 folders, or leave folders out with `exclude` in the stage `ingest`"
            }
            Self::FewLabels { .. } => {
                "if the labels are the indices of classes, set `num_classes` or `label_map`; if they are names, such as \
                 years, name the classes in a `label_map`"
            }
            Self::NoSplit { .. } => {
                "set `train` and `test` to two lists, or name the column of `subset`, or set `test_share: 0.2` to split at random"
            }
            Self::NoSubset { .. }
            | Self::SubsetTwice { .. }
            | Self::TwoTestSubsets { .. }
            | Self::UnknownSubsets { .. } => "choose subsets: `subsets: { train: [train], test: [val] }`",
            Self::NotDecoded => "set `verify: decode` in the stage `ingest`, or `near_duplicates: warn` here",
            Self::Regex { .. } => {
                "an example is `group: { regex: \"_(g[0-9]+)_\" }`; look-around and back references are not supported"
            }
            Self::Findings { names, .. } => {
                let settings = names.iter().map(|name| format!("`{name}: warn`")).collect::<Vec<_>>().join(" and ");
                return Some(format!("fix the lists or the folder, or set {settings}"));
            }
            Self::TooLarge { .. } | Self::Lines { .. } | Self::Io(_) | Self::Join(_) => return None,
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
