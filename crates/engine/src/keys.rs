//! The fields that make up an action key, of a stage and of a part; [`crate::reasons`] compares them.

use crate::sources::Collected;
use crate::spec::StageSpec;
use pipe_cache::{Digest, Field, Fields};
use pipe_schemas::Contract;
use pipe_stage::json_fields;
use pipe_stage::protocol::PlannedPart;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Versions of the libraries that determine bytes, by [`pipe_schemas::Tool::name`].
pub(crate) type Tools = BTreeMap<&'static str, String>;

/// Returns every field that determines the output of `stage`; see the table in [`pipe_cache::key`].
pub(crate) fn fields(
    stage: &StageSpec,
    inputs: &BTreeMap<String, Digest>,
    sources: &BTreeMap<&'static str, Arc<Collected>>,
    tools: &Tools,
) -> Fields {
    let mut fields = common(stage.contract, tools);
    add_parameters(&mut fields, stage.keyed());
    for (port, digest) in inputs {
        fields.add_input(port, *digest);
    }
    for (param, source) in sources {
        for file in &source.files {
            fields.add(["sources", param, &file.path], file.digest.clone());
        }
        // The summary of the stage counts them.
        for (what, count) in &source.left_out {
            fields.add(["left_out", param, what], count.to_string());
        }
    }
    fields.sorted()
}

/// Adds one field for each leaf of the parameters.
fn add_parameters(fields: &mut Fields, with: &Value) {
    for (path, value) in json_fields(&["with"], with) {
        fields.push(Field { path, value });
    }
}

/// The results that a link of a chain starts from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreviousLink {
    pub(crate) output: Digest,
    pub(crate) state: Option<Digest>,
}

/// Returns every field that determines a part; `previous` is the preceding link of a chain.
pub(crate) fn part_fields(
    contract: &Contract,
    part: &PlannedPart,
    tools: &Tools,
    previous: Option<PreviousLink>,
) -> Fields {
    let mut fields = common(contract, tools);
    fields.add(["part"], part.name.clone());
    for (path, value) in &part.fields {
        fields.add(path.iter().map(String::as_str), value.clone());
    }
    for (name, value) in &part.items {
        fields.add([ITEMS, name], value.clone());
    }
    if let Some(previous) = previous {
        fields.add(["previous"], previous.output.to_string());
        if let Some(state) = previous.state {
            fields.add(["previous_state"], state.to_string());
        }
    }
    fields.sorted()
}

/// First step of the path of a part's items, such as the videos of a bucket.
pub(crate) const ITEMS: &str = "items";

fn common(contract: &Contract, tools: &Tools) -> Fields {
    let mut fields = Fields::default();
    fields.add(["kind"], contract.kind);
    fields.add(["version"], contract.version.to_string());
    for (tool, version) in tools {
        fields.add(["tools", tool], version.clone());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_cache::ActionKey;
    use serde_json::json;

    fn key_of(with: &Value) -> ActionKey {
        let mut fields = Fields::default();
        add_parameters(&mut fields, with);
        fields.key()
    }

    #[test]
    fn order_of_keys_does_not_matter_and_types_do() {
        assert_eq!(key_of(&json!({"a": 1, "b": [1, 2]})), key_of(&json!({"b": [1, 2], "a": 1})));
        assert_ne!(key_of(&json!({"b": [1, 2]})), key_of(&json!({"b": [2, 1]})));
        assert_ne!(key_of(&json!({"a": 1})), key_of(&json!({"a": "1"})));
        assert_ne!(key_of(&json!({"a": {"b": 1}})), key_of(&json!({"a.b": 1})));
        assert_ne!(key_of(&json!({"a": []})), key_of(&json!({"a": {}})));
        assert_ne!(key_of(&json!({"a": []})), key_of(&json!({})));
    }
}
