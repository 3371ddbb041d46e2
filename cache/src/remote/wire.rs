//! The format of actions and trees on a remote, and the checks before they are used.
//!
//! An action is one object: the hexadecimal BLAKE3 of the rest, a newline, and the fields of the key and the record as JSON. A tree is
//! JSON whose files hash to its name.

use super::error::ObjectError;
use crate::{ActionKey, ActionRecord, CacheError, Digest, Fields, Tree};
use serde::{Deserialize, Serialize};

/// Maximum size of an action or a tree, enough for some hundred thousand files.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// A record with the fields of its key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    pub(super) fields: Fields,
    pub(super) record: ActionRecord,
}

impl Action {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let json = serde_json::to_vec(self)?;
        Ok([Digest::of(&json).to_string().as_bytes(), b"\n", &json].concat())
    }

    /// Parses an action, and checks that it belongs to `key`.
    pub(super) fn from_bytes(bytes: &[u8], key: ActionKey) -> Result<Self, ObjectError> {
        let (digest, json) = bytes.split_at_checked(64).ok_or(ObjectError::Format)?;
        let json = json.strip_prefix(b"\n").ok_or(ObjectError::Format)?;
        if Digest::of(json).to_string().as_bytes() != digest {
            return Err(ObjectError::Digest);
        }
        let action: Self = serde_json::from_slice(json).map_err(|_| ObjectError::Format)?;
        if action.fields.key() != key {
            return Err(ObjectError::Fields);
        }
        if action.texts().any(|text| text.chars().any(|letter| letter.is_control() && !"\n\t".contains(letter))) {
            return Err(ObjectError::Text);
        }
        Ok(action)
    }

    /// Returns all texts that may be shown to users.
    fn texts(&self) -> impl Iterator<Item = &String> {
        let fields = self.fields.iter().flat_map(|field| field.path.iter().chain([&field.value]));
        let record = &self.record;
        let names = record.parts.keys().chain(record.output.ports.keys());
        let environment = record.environment.iter().flat_map(|(name, value)| [name, value]);
        let names = names.chain(environment).chain(record.figures.keys());
        fields.chain([&record.kind]).chain(names).chain(&record.summary).chain(&record.warnings)
    }
}

/// Parses a tree, and checks that it has this digest.
pub(super) fn tree_from_bytes(bytes: &[u8], digest: Digest) -> Result<Tree, ObjectError> {
    let tree: Tree = serde_json::from_slice(bytes).map_err(|_| ObjectError::Format)?;
    match tree.check() {
        Err(CacheError::InvalidPath { path }) => return Err(ObjectError::Path(path)),
        Err(_) => return Err(ObjectError::Format),
        Ok(()) => {}
    }
    if tree.digest() == digest { Ok(tree) } else { Err(ObjectError::Digest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OutputRecord, TreeFile};
    use std::collections::BTreeMap;

    fn action(summary: &str) -> Action {
        let mut fields = Fields::default();
        fields.add(["kind"], "k");
        let output = OutputRecord { tree: Digest::of(b"t"), ports: BTreeMap::new() };
        let record = ActionRecord {
            summary: vec![summary.into()],
            duration_millis: 1,
            ended_unix_secs: 2,
            ..ActionRecord::new("k", output)
        };
        Action { fields, record }
    }

    #[test]
    fn actions_round_trip_and_any_flipped_bit_is_detected() {
        let action = action("two\nlines");
        let (key, bytes) = (action.fields.key(), action.to_bytes().expect("JSON"));
        assert_eq!(Action::from_bytes(&bytes, key).expect("as it was").record, action.record);
        for position in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1;
            assert!(Action::from_bytes(&flipped, key).is_err(), "byte {position}");
            assert!(Action::from_bytes(&bytes[..position], key).is_err(), "cut at {position}");
        }
    }

    #[test]
    fn other_keys_and_control_characters_are_refused() {
        let plain = action("x").to_bytes().expect("JSON");
        assert_eq!(Action::from_bytes(&plain, Fields::default().key()).expect_err("refused"), ObjectError::Fields);
        let with_control = action("\u{1b}[2J");
        let bytes = with_control.to_bytes().expect("JSON");
        assert_eq!(Action::from_bytes(&bytes, with_control.fields.key()).expect_err("refused"), ObjectError::Text);
    }

    #[test]
    fn a_tree_must_match_its_digest_and_stay_in_its_folder() {
        let tree = |path: &str| {
            let file = TreeFile { path: path.into(), digest: Digest::of(b"x"), size_bytes: 1 };
            let tree = Tree { files: vec![file] };
            (serde_json::to_vec(&tree).expect("JSON"), tree.digest())
        };
        let (bytes, digest) = tree("a/b");
        assert!(tree_from_bytes(&bytes, digest).is_ok());
        assert_eq!(tree_from_bytes(&bytes, Digest::of(b"other")).expect_err("refused"), ObjectError::Digest);
        assert_eq!(tree_from_bytes(b"{", digest).expect_err("refused"), ObjectError::Format);
        let (bytes, digest) = tree("../../../x");
        assert_eq!(tree_from_bytes(&bytes, digest).expect_err("refused"), ObjectError::Path("../../../x".into()));
    }
}
