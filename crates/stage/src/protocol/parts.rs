//! Messages about stages that are made in parts: [`PlannedPart`], [`MakeParts`], [`MadePart`].

use crate::StageError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A part of a stage: an action with its own key and result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPart {
    /// Unique in the stage and valid as a file name.
    pub name: String,
    /// Everything that determines the part's content besides kind, version and libraries, by path: parameters that affect
    /// it, digests.
    pub fields: Vec<(Vec<String>, String)>,
    /// The elements that the part consists of, by name, with a digest of each. An element that is equal in an older
    /// version of the part can be copied from there.
    pub items: BTreeMap<String, String>,
}

/// Parts to make, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeParts {
    /// For a chain: all links that have been made, from the first on. The newest ones may have no state any more; then they
    /// are also the first of `parts`, because a later link can only start from a state.
    pub earlier: Vec<MadePart>,
    /// The worker reports each with [`Reply::PartFinished`](super::Reply::PartFinished) when it is complete.
    pub parts: Vec<MakePart>,
}

impl MakeParts {
    /// Returns parts to make that depend on no other part.
    pub fn independent(parts: Vec<MakePart>) -> Self {
        Self { earlier: Vec::new(), parts }
    }

    /// Returns the link that the first of `parts` starts from; `None` at the start of the chain.
    pub fn resume_from(&self) -> Option<&MadePart> {
        let first = self.parts.first()?;
        let links_before = self.earlier.iter().position(|link| link.name == first.name);
        self.earlier[..links_before.unwrap_or(self.earlier.len())].last()
    }
}

/// How the making of parts ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// All parts were made.
    All,
    /// The chain ended before the last part: the remaining parts are not needed. Only for a chain.
    ChainEnded,
}

/// A part to make, and where its files go.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakePart {
    /// As in [`PlannedPart::name`].
    pub name: String,
    /// An empty folder; see [`MakePart::file`], [`MakePart::note`] and [`MakePart::state`].
    #[serde(with = "super::paths")]
    pub folder: PathBuf,
    /// An older version of the part with equal [`PlannedPart::fields`].
    pub old: Option<OldPart>,
}

/// An older version of a part.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldPart {
    /// The folder of the older version.
    pub made: MadePart,
    /// Names of the items that are equal in both versions.
    pub same_items: BTreeSet<String>,
}

/// A part that has been made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadePart {
    /// As in [`PlannedPart::name`].
    pub name: String,
    /// The folder with files and notes, read-only.
    #[serde(with = "super::paths")]
    pub folder: PathBuf,
    /// For a link of a chain: the folder with the state, read-only; `None` if the state was dropped.
    #[serde(with = "super::paths::optional")]
    pub state: Option<PathBuf>,
}

/// The folder of a part with the files that belong to the stage's output.
pub const PART_FILES: &str = "files";
/// The folder of a part with files that only [`Task::Assemble`](super::Task::Assemble) and later parts of a chain read.
pub const PART_NOTES: &str = "notes";
/// The folder of a link with its state: what is needed to start the next link or to assemble the chain from this link. It is
/// not part of the link's result and may be dropped once the chain is complete, because it is large.
pub const PART_STATE: &str = "state";

impl MakePart {
    /// Returns where to write a file that belongs to the stage's output, and creates the folders above it.
    pub fn file(&self, path: &str) -> std::io::Result<PathBuf> {
        self.make(PART_FILES, path)
    }

    /// Returns where to write a file that only [`Task::Assemble`](super::Task::Assemble) and later parts of a chain read.
    pub fn note(&self, path: &str) -> std::io::Result<PathBuf> {
        self.make(PART_NOTES, path)
    }

    /// Returns where to write a file of a link's state.
    pub fn state(&self, path: &str) -> std::io::Result<PathBuf> {
        self.make(PART_STATE, path)
    }

    /// Returns the part as it is after it has been made.
    pub fn made(&self) -> MadePart {
        MadePart { name: self.name.clone(), folder: self.folder.clone(), state: Some(self.folder.join(PART_STATE)) }
    }

    fn make(&self, kind: &str, path: &str) -> std::io::Result<PathBuf> {
        let path = self.folder.join(kind).join(path);
        fs_err::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        Ok(path)
    }
}

impl MadePart {
    /// Returns the path of a file that belongs to the stage's output.
    pub fn file(&self, path: &str) -> PathBuf {
        self.folder.join(PART_FILES).join(path)
    }

    /// Returns the path of a file that does not belong to the stage's output.
    pub fn note(&self, path: &str) -> PathBuf {
        self.folder.join(PART_NOTES).join(path)
    }

    /// Returns the path of a file of the link's state.
    ///
    /// # Errors
    /// [`StageError::state_needed`] if the state was dropped. A stage returns this error, and `pipe` makes the link again and
    /// repeats the request.
    pub fn state(&self, path: &str) -> Result<PathBuf, StageError> {
        let folder = self.state.as_ref().ok_or_else(|| StageError::state_needed(&self.name))?;
        Ok(folder.join(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_made_from_the_one_before_it() {
        let made = |name: &str| MadePart { name: name.into(), folder: name.into(), state: None };
        let make = |name: &str| MakePart { name: name.into(), folder: name.into(), old: None };
        let resume = |earlier: &[&str], parts: &[&str]| {
            let parts = MakeParts {
                earlier: earlier.iter().map(|name| made(name)).collect(),
                parts: parts.iter().map(|name| make(name)).collect(),
            };
            parts.resume_from().map(|link| link.name.clone())
        };
        assert_eq!(resume(&[], &["0", "1"]), None);
        assert_eq!(resume(&["0", "1"], &["2"]), Some("1".into()));
        assert_eq!(resume(&["0", "1", "2"], &["1", "2", "3"]), Some("0".into()), "1 and 2 lost their states");
        assert_eq!(resume(&["0"], &["0", "1"]), None);
    }

    #[test]
    fn a_dropped_state_is_an_error_that_names_the_link() {
        let link = MadePart { name: "0003".into(), folder: "folder".into(), state: None };
        assert_eq!(link.state("state.safetensors").expect_err("dropped").needed_state(), Some("0003"));
    }
}
