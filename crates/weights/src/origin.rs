//! [`Origin`]: where in a file the tensors of a checkpoint were found, and what was left out.

use serde::{Deserialize, Serialize};

/// Where in a file the tensors of a checkpoint were found, and what was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file, or the index of shards, below the folder that was named; `None` if a file was named.
    pub file: Option<String>,
    /// Other files of weights in that folder, which were not read.
    pub other_files: Vec<String>,
    /// The keys that lead to the dictionary of tensors, such as `state_dict`; `None` if it is the top level.
    pub wrapper: Option<String>,
    /// The keys of other dictionaries of tensors in the file, which were not read.
    pub other_wrappers: Vec<String>,
    /// The names of entries that are not tensors.
    pub not_tensors: Vec<String>,
    /// Tensors that can't be read. They are missing from the checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<UnsupportedTensor>,
    /// What was removed from the start of names.
    pub prefixes: Vec<Prefix>,
    /// Copies of the network that were not used, such as the average of an EMA.
    pub copies: Vec<Prefix>,
}

/// A tensor with elements or a layout that is not supported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsupportedTensor {
    /// The name in the file.
    pub name: String,
    /// Its type of elements, such as `complex64`, or another property, such as `sparse`.
    pub kind: String,
}

impl std::fmt::Display for UnsupportedTensor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "`{}` ({})", self.name, self.kind)
    }
}

/// A prefix of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// The prefix with its last dot.
    pub prefix: String,
    /// The number of tensors whose names begin with it.
    pub num_tensors: usize,
}

/// The maximum number of names in a note.
const MAX_NAMED: usize = 5;

impl Origin {
    /// Returns what a user should know about the origin, one short sentence each. There are none for a plain state dict.
    pub fn notes(&self) -> Vec<String> {
        let Self { file, other_files, wrapper, other_wrappers, not_tensors, unsupported, prefixes, copies } = self;
        let mut notes = Vec::new();
        if let Some(file) = file {
            let others = if other_files.is_empty() { String::new() } else { format!(", not {}", quoted(other_files)) };
            notes.push(format!("`{file}` of the folder was read{others}"));
        }
        if !other_wrappers.is_empty() {
            let taken = wrapper.as_ref().map_or("the top level".to_owned(), |wrapper| format!("`{wrapper}`"));
            notes.push(format!("the weights are those of {taken}, not of {}", quoted(other_wrappers)));
        } else if let Some(wrapper) = wrapper {
            notes.push(format!("the weights are those of `{wrapper}`"));
        }
        for Prefix { prefix, num_tensors } in prefixes {
            let names = if *num_tensors == 1 { "1 name".to_owned() } else { format!("{num_tensors} names") };
            notes.push(format!("`{prefix}` was removed from {names}"));
        }
        for Prefix { prefix, num_tensors } in copies {
            let tensors = if *num_tensors == 1 { "1 tensor".to_owned() } else { format!("{num_tensors} tensors") };
            let place = if prefix.is_empty() { "without a prefix".to_owned() } else { format!("under `{prefix}`") };
            notes.push(format!("{tensors} {place} are another copy of the network and were not used"));
        }
        if !not_tensors.is_empty() {
            notes.push(format!("entries that are not tensors were skipped: {}", quoted(not_tensors)));
        }
        if !unsupported.is_empty() {
            let tensors: Vec<String> = unsupported.iter().map(ToString::to_string).collect();
            notes.push(format!("tensors that can't be read: {}", listed(&tensors)));
        }
        notes
    }
}

/// Joins names: `a`, `b` and 3 more.
fn quoted(names: &[String]) -> String {
    listed(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>())
}

fn listed(names: &[String]) -> String {
    let named = &names[..names.len().min(MAX_NAMED)];
    let more = if names.len() > MAX_NAMED { format!(" and {} more", names.len() - MAX_NAMED) } else { String::new() };
    format!("{}{more}", named.join(", "))
}
