//! How actions and trees are written on a remote, and what is checked before one that was read is believed.
//!
//! An action is one object: the BLAKE3 of the rest in hex, a newline, and the fields of its key and its record as JSON.
//! A tree is JSON whose files hash to its name.

use super::error::Damage;
use crate::{ActionKey, ActionRecord, CacheError, Digest, Fields, Tree};
use serde::{Deserialize, Serialize};

/// The largest action or tree: some hundred thousand files.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// A record with what its key is made of.
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

    /// Reads an action that is said to be that of `key`.
    pub(super) fn from_bytes(bytes: &[u8], key: ActionKey) -> Result<Self, Damage> {
        let (digest, json) = bytes.split_at_checked(64).ok_or(Damage::Format)?;
        let json = json.strip_prefix(b"\n").ok_or(Damage::Format)?;
        if Digest::of(json).to_string().as_bytes() != digest {
            return Err(Damage::Digest);
        }
        let action: Self = serde_json::from_slice(json).map_err(|_| Damage::Format)?;
        if action.fields.key() != key {
            return Err(Damage::Fields);
        }
        if action.texts().any(|text| text.chars().any(|letter| letter.is_control() && !"\n\t".contains(letter))) {
            return Err(Damage::Text);
        }
        Ok(action)
    }

    /// Returns all that may be shown to people.
    fn texts(&self) -> impl Iterator<Item = &String> {
        let fields = self.fields.iter().flat_map(|field| field.path.iter().chain([&field.value]));
        let record = &self.record;
        let names = record.parts.keys().chain(record.output.ports.keys());
        let environment = record.environment.iter().flat_map(|(name, value)| [name, value]);
        let names = names.chain(environment).chain(record.figures.keys());
        fields.chain([&record.kind]).chain(names).chain(&record.summary).chain(&record.warnings)
    }
}

/// Reads a tree that is said to have this digest.
pub(super) fn tree_from_bytes(bytes: &[u8], digest: Digest) -> Result<Tree, Damage> {
    let tree: Tree = serde_json::from_slice(bytes).map_err(|_| Damage::Format)?;
    match tree.check() {
        Err(CacheError::OddPath { path }) => return Err(Damage::Path(path)),
        Err(_) => return Err(Damage::Format),
        Ok(()) => {}
    }
    if tree.digest() == digest { Ok(tree) } else { Err(Damage::Digest) }
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
            kind: "k".into(),
            output,
            parts: BTreeMap::new(),
            state: None,
            environment: BTreeMap::new(),
            figures: BTreeMap::new(),
            summary: vec![summary.into()],
            warnings: vec![],
            duration_millis: 1,
            peak_memory_bytes: None,
            ended_unix_secs: 2,
        };
        Action { fields, record }
    }

    #[test]
    fn an_action_comes_back_and_every_flipped_bit_is_found() {
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
    fn another_key_and_terminal_commands_are_refused() {
        let plain = action("x").to_bytes().expect("JSON");
        assert_eq!(Action::from_bytes(&plain, Fields::default().key()).expect_err("refused"), Damage::Fields);
        let loud = action("\u{1b}[2J");
        let bytes = loud.to_bytes().expect("JSON");
        assert_eq!(Action::from_bytes(&bytes, loud.fields.key()).expect_err("refused"), Damage::Text);
    }

    #[test]
    fn a_tree_must_hash_to_its_name_and_stay_in_its_folder() {
        let tree = |path: &str| {
            let file = TreeFile { path: path.into(), digest: Digest::of(b"x"), size_bytes: 1 };
            let tree = Tree { files: vec![file] };
            (serde_json::to_vec(&tree).expect("JSON"), tree.digest())
        };
        let (bytes, digest) = tree("a/b");
        assert!(tree_from_bytes(&bytes, digest).is_ok());
        assert_eq!(tree_from_bytes(&bytes, Digest::of(b"other")).expect_err("refused"), Damage::Digest);
        assert_eq!(tree_from_bytes(b"{", digest).expect_err("refused"), Damage::Format);
        let (bytes, digest) = tree("../../../x");
        assert_eq!(tree_from_bytes(&bytes, digest).expect_err("refused"), Damage::Path("../../../x".into()));
    }
}
