//! [`Fields`]: everything that determines the output of an action, as named values. Their hash is the action key.
//!
//! | in the key | not in the key |
//! |---|---|
//! | stage kind and its `VERSION` | stage and pipeline name, comments, key order, formatting |
//! | parameters with defaults filled in, one field per leaf | resources, timeouts, log settings, thread counts |
//! | digest of each input, by port | paths of folders, file times, the clock, host, user |
//! | relative path and digest of each source file | files that the stage did not declare |
//! | versions of the libraries that determine bytes | the version of `pipe` |
//!
//! The fields are stored beside the result, so that an explanation shows exactly what was hashed.

use crate::{ActionKey, Digest};
use serde::{Deserialize, Serialize};

/// Changed whenever fields are hashed in another way.
const KEY_FORMAT: &[u8] = b"pipe action key v1";

/// A named value that determines the output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Field {
    /// The name, in steps: `["with", "optim_wrapper", "optimizer", "lr"]`.
    pub path: Vec<String>,
    /// The value. Parameters are JSON text, so that `1` and `"1"` differ.
    pub value: String,
}

/// Everything that determines the output of an action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(Vec<Field>);

impl Fields {
    /// Adds a field with this name and value.
    pub fn add<'a>(&mut self, path: impl IntoIterator<Item = &'a str>, value: impl Into<String>) {
        self.0.push(Field { path: path.into_iter().map(str::to_owned).collect(), value: value.into() });
    }

    /// Adds the digest of the input `port`.
    pub fn add_input(&mut self, port: &str, digest: Digest) {
        self.add(["inputs", port], digest.to_string());
    }

    /// Adds a field whose path is a list of steps already.
    pub fn push(&mut self, field: Field) {
        self.0.push(field);
    }

    /// Returns the fields in their canonical order.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort();
        self
    }

    /// Returns the fields in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.0.iter()
    }

    /// Returns the fields in their canonical order.
    pub fn in_order(&self) -> Vec<&Field> {
        let mut fields: Vec<&Field> = self.0.iter().collect();
        fields.sort();
        fields
    }

    /// Hashes the fields in canonical order; every part is preceded by its length.
    pub fn key(&self) -> ActionKey {
        // One call of the hash function is much faster than one per field, with ten thousand source files.
        let mut all = KEY_FORMAT.to_vec();
        let mut part = |bytes: &[u8]| {
            all.extend((bytes.len() as u64).to_le_bytes());
            all.extend(bytes);
        };
        for field in self.in_order() {
            part(&(field.path.len() as u64).to_le_bytes());
            for step in &field.path {
                part(step.as_bytes());
            }
            part(field.value.as_bytes());
        }
        blake3::hash(&all).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn moving_a_byte_between_name_and_value_changes_the_key(one in "[a-c]{0,4}", two in "[a-c]{0,4}", at in 0usize..8) {
            let joined = format!("{one}{two}");
            let at = at.min(joined.len());
            let (left, right) = joined.split_at(at);
            let key = |a: &str, b: &str| {
                let mut fields = Fields::default();
                fields.add([a], b);
                fields.key()
            };
            prop_assert_eq!(key(&one, &two) == key(left, right), one == left);
        }
    }
}
