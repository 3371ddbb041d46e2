//! Messages about stages that are made in parts: [`PlannedPart`], [`MakeParts`], [`MadePart`].

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
    /// For a chain: the part before the first of these.
    pub after: Option<MadePart>,
    /// The worker reports each with [`Reply::PartFinished`](super::Reply::PartFinished) when it is complete.
    pub parts: Vec<MakePart>,
}

/// A part to make.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakePart {
    /// As in [`PlannedPart::name`].
    pub name: String,
    /// An empty folder; see [`MakePart::file`] and [`MakePart::note`].
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
    /// Read-only.
    pub folder: PathBuf,
}

/// The folder of a part with the files that belong to the stage's output.
pub const PART_FILES: &str = "files";
/// The folder of a part with files that only [`Task::Assemble`](super::Task::Assemble) and later parts of a chain read.
pub const PART_NOTES: &str = "notes";

impl MakePart {
    /// Returns where to write a file that belongs to the stage's output, and creates the folders above it.
    pub fn file(&self, path: &str) -> std::io::Result<PathBuf> {
        self.make(PART_FILES, path)
    }

    /// Returns where to write a file that only [`Task::Assemble`](super::Task::Assemble) and later parts of a chain read.
    pub fn note(&self, path: &str) -> std::io::Result<PathBuf> {
        self.make(PART_NOTES, path)
    }

    /// Returns the part as it is after it has been made.
    pub fn made(&self) -> MadePart {
        MadePart { name: self.name.clone(), folder: self.folder.clone() }
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
}
