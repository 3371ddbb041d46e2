//! [`ActionRecord`]: the result of an action. `store/records.rs` reads and writes it.

use crate::{ActionKey, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The result of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionRecord {
    /// The stage kind.
    pub kind: String,
    /// What the action wrote.
    pub output: OutputRecord,
    /// The keys of the parts that the output was assembled from, by name. Empty for a stage without parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, ActionKey>,
    /// The state that the next link of a chain starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateRecord>,
    /// What the bits of a floating-point result depend on besides its key, by name: processor, threads, device. Empty for exact
    /// results.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Numbers that the stage reported, such as `loss` and `top1`. All are finite.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
    /// Lines that the stage reported when it finished.
    pub summary: Vec<String>,
    /// Warnings of the stage.
    pub warnings: Vec<String>,
    /// Wall time of the action.
    pub duration_millis: u64,
    /// Peak resident memory of the worker, if known.
    pub peak_memory_bytes: Option<u64>,
    /// When the action ended, in seconds since 1970.
    pub ended_unix_secs: u64,
}

/// What an action wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRecord {
    /// The digest of the whole output folder.
    pub tree: Digest,
    /// The digest of each output port, which may be a part of the folder.
    pub ports: BTreeMap<String, Digest>,
}

/// The state that a link of a chain left for the next one. It is not part of the output, and the link is a hit without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRecord {
    /// The digest of the files. The key of the next link contains it, so it remains known after the files are deleted.
    pub tree: Digest,
    /// Keep the files. Otherwise garbage collection deletes them.
    pub kept: bool,
}

impl ActionRecord {
    /// Returns a record without parts, state, environment, figures and messages.
    pub fn new(kind: impl Into<String>, output: OutputRecord) -> Self {
        Self {
            kind: kind.into(),
            output,
            parts: BTreeMap::new(),
            state: None,
            environment: BTreeMap::new(),
            figures: BTreeMap::new(),
            summary: Vec::new(),
            warnings: Vec::new(),
            duration_millis: 0,
            peak_memory_bytes: None,
            ended_unix_secs: 0,
        }
    }

    /// Returns the trees that the store keeps for this record: the output and the state, if that is kept.
    pub fn trees(&self) -> impl Iterator<Item = Digest> {
        let state = self.state.filter(|state| state.kept).map(|state| state.tree);
        std::iter::once(self.output.tree).chain(state)
    }
}
