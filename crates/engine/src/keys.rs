//! What an action's key is made of, and why a key differs from the last one.

use crate::sources::Collected;
use crate::spec::StageSpec;
use pipe_cache::{Digest, Field, Fields};
use pipe_schemas::Contract;
use pipe_stage::json_fields;
use pipe_stage::protocol::PlannedPart;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Versions of the libraries that decide bytes, by [`pipe_schemas::Tool::name`].
pub(crate) type Tools = BTreeMap<&'static str, String>;

/// Gathers all that decides the output of `stage`; see the table in [`pipe_cache::key`].
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
    }
    fields.sorted()
}

/// Adds each leaf of the parameters as a field.
fn add_parameters(fields: &mut Fields, with: &Value) {
    for (path, value) in json_fields(&["with"], with) {
        fields.push(Field { path, value });
    }
}

/// What a link of a chain starts from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreviousLink {
    pub(crate) output: Digest,
    pub(crate) state: Option<Digest>,
}

/// Gathers all that decides a part; `previous` is the link before it in a chain.
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

/// The first step of the path of what a part is made of.
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

/// A reason why a key is not the last one of its stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The stage has not run in this store.
    NeverRan,
    /// The key is the last one, but the result was removed from the store.
    Gone,
    /// Something in the store is not as it was written.
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// The user asked for it.
    Forced,
    /// It is made again and compared.
    Checked,
    /// A parameter, a version or the like.
    Value {
        /// In steps: `["with", "optim_wrapper", "optimizer", "lr"]`.
        path: Vec<String>,
        /// What it was; `None` if it is new.
        old: Option<String>,
        /// What it is; `None` if it is gone.
        new: Option<String>,
        /// Whether `old` is what leaving the parameter out means.
        old_is_default: bool,
    },
    /// What an input port receives.
    Input {
        /// The port.
        port: String,
        /// How it differs.
        change: Change,
    },
    /// A file from outside the pipeline.
    Source {
        /// Below its folder; empty where the source is one file.
        file: String,
        /// How it differs.
        change: Change,
    },
}

/// How something differs from what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is another.
    Changed,
    /// It is gone.
    Removed,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverRan => out.write_str("it has not run yet"),
            Self::Gone => out.write_str("its last result is no longer in the store"),
            Self::Damaged { what } => out.write_str(what),
            Self::Forced => out.write_str("you asked for it"),
            Self::Checked => out.write_str("it is made again and compared"),
            Self::Value { path, old, new, old_is_default } => {
                let (path, default) = (path.join("."), if *old_is_default { "default " } else { "" });
                match (old, new) {
                    (Some(old), Some(new)) => write!(out, "{path}: {default}{old} → {new}"),
                    (None, Some(new)) => write!(out, "{path}: {new} added"),
                    (Some(old), None) => write!(out, "{path}: {old} removed"),
                    (None, None) => write!(out, "{path}"),
                }
            }
            Self::Input { port, change: Change::Changed } => write!(out, "the input `{port}` changed"),
            Self::Input { port, change } => write!(out, "the input `{port}` was {}", change.word()),
            Self::Source { file, change } if file.is_empty() => write!(out, "the file: {}", change.word()),
            Self::Source { file, change } => write!(out, "{file}: {}", change.word()),
        }
    }
}

/// Says why a key is not the last one of its stage, one reason a changed field.
pub(crate) fn reasons(last: Option<&Fields>, now: &Fields, contract: &Contract) -> Vec<Reason> {
    let Some(last) = last else { return vec![Reason::NeverRan] };
    let (mut reasons, mut gone) = (Vec::new(), Vec::new());
    let (mut last, mut now) = (last.in_order().into_iter().peekable(), now.in_order().into_iter().peekable());
    loop {
        let order = match (last.peek(), now.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(last), Some(now)) => last.path.cmp(&now.path),
        };
        let old = if order.is_le() { last.next() } else { None };
        let new = if order.is_ge() { now.next() } else { None };
        match (old, new) {
            (Some(old), Some(new)) if old.value == new.value => {}
            (old, Some(new)) => {
                reasons.push(reason(&new.path, old.map(|old| &old.value), Some(&new.value), contract));
            }
            (old, None) => gone.extend(old.map(|old| reason(&old.path, Some(&old.value), None, contract))),
        }
    }
    reasons.extend(gone);
    if reasons.is_empty() { vec![Reason::Gone] } else { reasons }
}

fn reason(path: &[String], old: Option<&String>, new: Option<&String>, contract: &Contract) -> Reason {
    let change = match (old, new) {
        (None, _) => Change::Added,
        (Some(_), None) => Change::Removed,
        (Some(_), Some(_)) => Change::Changed,
    };
    match path {
        [first, port] if first == "inputs" => Reason::Input { port: port.clone(), change },
        [first, _, file] if first == "sources" => Reason::Source { file: file.clone(), change },
        _ => {
            let default = path.split_first().filter(|(first, _)| *first == "with");
            let default = default.and_then(|(_, path)| default_of(contract.schema(), path));
            let old_is_default = default.is_some_and(|default| old == Some(&default.to_string()));
            Reason::Value { path: path.to_vec(), old: old.cloned(), new: new.cloned(), old_is_default }
        }
    }
}

/// Returns what leaving out the parameter at `path` means, where the schema says so.
fn default_of<'s>(schema: &'s Value, path: &[String]) -> Option<&'s Value> {
    let [steps @ .., last] = path else { return None };
    let target = |node: &'s Value| match node.get("$ref").and_then(Value::as_str) {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')),
        None => Some(node),
    };
    let mut node = schema;
    for step in steps {
        node = target(node.get("properties")?.get(step)?)?;
    }
    node.get("properties")?.get(last)?.get("default")
}

/// How many source files of one sort of change are named one by one.
const MAX_NAMED: usize = 3;

/// Returns reasons as lines; many files that changed alike are one line.
pub fn lines(reasons: &[Reason]) -> Vec<String> {
    let mut counts: BTreeMap<Change, usize> = BTreeMap::new();
    for reason in reasons {
        if let Reason::Source { change, .. } = reason {
            *counts.entry(*change).or_default() += 1;
        }
    }
    let (mut lines, mut told) = (Vec::new(), BTreeSet::new());
    for reason in reasons {
        match reason {
            Reason::Source { change, .. } if counts.get(change).is_some_and(|count| *count > MAX_NAMED) => {
                // The first of them stands for all.
                if told.insert(*change) {
                    lines.push(format!("{} files {}", counts[change], change.word()));
                }
            }
            other => lines.push(other.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_cache::ActionKey;
    use serde_json::json;

    fn fields(list: &[(&[&str], &str)]) -> Fields {
        let mut fields = Fields::default();
        for (path, value) in list {
            fields.add(path.iter().copied(), *value);
        }
        fields
    }

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

    fn check(old: Option<&Fields>, new: &Fields, expect: &[&str]) {
        let contract = pipe_schemas::stages::contract("frames").expect("a contract");
        assert_eq!(lines(&reasons(old, new, contract)), expect);
    }

    #[test]
    fn reasons_name_what_changed_with_old_and_new_value() {
        let old = fields(&[(&["with", "lr"], "0.1"), (&["sources", "root", "a"], "1"), (&["inputs", "x"], "1")]);
        let new = fields(&[(&["with", "lr"], "0.2"), (&["sources", "root", "b"], "1"), (&["inputs", "x"], "2")]);
        check(Some(&old), &new, &["the input `x` changed", "b: added", "with.lr: 0.1 → 0.2", "a: removed"]);
        check(None, &new, &["it has not run yet"]);
        check(Some(&new), &new, &["its last result is no longer in the store"]);
    }

    #[test]
    fn a_default_is_called_one() {
        let buckets = |value| fields(&[(&["with", "buckets"], value)]);
        let default =
            default_of(pipe_schemas::stages::contract("frames").expect("a contract").schema(), &["buckets".into()]);
        let default = default.expect("a default").to_string();
        check(Some(&buckets(&default)), &buckets("7"), &[&format!("with.buckets: default {default} → 7")]);
        check(Some(&buckets("7")), &buckets("9"), &["with.buckets: 7 → 9"]);
    }

    #[test]
    fn many_files_are_counted() {
        let names: Vec<String> = (0..5).map(|number| format!("{number}.avi")).collect();
        let mut new = fields(&[(&["sources", "root", "b"], "2")]);
        for name in &names {
            new.add(["sources", "root", name], "1");
        }
        let old = fields(&[(&["sources", "root", "b"], "1")]);
        check(Some(&old), &new, &["5 files added", "b: changed"]);
    }
}
