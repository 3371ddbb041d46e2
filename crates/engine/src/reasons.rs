//! [`reasons`]: why a stage runs, as differences between the fields of two keys.

use pipe_cache::Fields;
use pipe_schemas::Contract;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A reason why a stage runs: one difference between its key and that of its newest result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The stage has no result in this store.
    NeverRan,
    /// The key is unchanged, but its result was removed from the store.
    Gone,
    /// The result in the store is damaged.
    Damaged {
        /// The damage as text.
        what: String,
    },
    /// The user passed `--force`.
    Forced,
    /// The user passed `--check`: the stage reruns, and the results are compared.
    Checked,
    /// A parameter or a version differs.
    Value {
        /// Steps to the field: `["with", "optim_wrapper", "optimizer", "lr"]`.
        path: Vec<String>,
        /// The value in the last key; `None` if the field is new.
        old: Option<String>,
        /// The value in this key; `None` if the field was removed.
        new: Option<String>,
        /// Whether `old` is the default of the parameter.
        old_is_default: bool,
    },
    /// An input port differs.
    Input {
        /// The name of the port.
        port: String,
        /// Whether the port is new, was removed, or receives other data.
        change: Change,
    },
    /// A file from outside the pipeline differs.
    Source {
        /// The path below the source folder; empty if the source is a single file.
        file: String,
        /// Whether the file is new, was removed, or has other content.
        change: Change,
    },
}

/// How a field differs from that of the last key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only in this key.
    Added,
    /// In both keys, with different values.
    Changed,
    /// Only in the last key.
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
            Self::NeverRan => out.write_str("first run"),
            Self::Gone => out.write_str("the last result is no longer in the store"),
            Self::Damaged { what } => out.write_str(what),
            Self::Forced => out.write_str("forced (`--force`)"),
            Self::Checked => out.write_str("rerunning to compare"),
            Self::Value { path, old, new, old_is_default } => {
                let (path, default) = (path.join("."), if *old_is_default { "default " } else { "" });
                match (old, new) {
                    (Some(old), Some(new)) => write!(out, "{path}: {default}{old} → {new}"),
                    (None, Some(new)) => write!(out, "{path}: {new} added"),
                    (Some(old), None) => write!(out, "{path}: {old} removed"),
                    (None, None) => write!(out, "{path}"),
                }
            }
            Self::Input { port, change: Change::Changed } => write!(out, "input `{port}` changed"),
            Self::Input { port, change } => write!(out, "input `{port}` was {}", change.word()),
            Self::Source { file, change } if file.is_empty() => write!(out, "source file {}", change.word()),
            Self::Source { file, change } => write!(out, "{file}: {}", change.word()),
        }
    }
}

/// Compares the fields of the last key with those of this one; one reason per field that differs.
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

/// Returns the default of the parameter at `path`, if the schema has one.
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

/// Maximum number of source files with the same change that are listed one by one.
const MAX_NAMED: usize = 3;

/// Returns one line per reason; source files with the same change are counted in one line if there are many.
pub fn lines(reasons: &[Reason]) -> Vec<String> {
    let mut counts: BTreeMap<Change, usize> = BTreeMap::new();
    for reason in reasons {
        if let Reason::Source { change, .. } = reason {
            *counts.entry(*change).or_default() += 1;
        }
    }
    let (mut lines, mut counted) = (Vec::new(), BTreeSet::new());
    for reason in reasons {
        match reason {
            Reason::Source { change, .. } if counts.get(change).is_some_and(|count| *count > MAX_NAMED) => {
                if counted.insert(*change) {
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

    fn fields(list: &[(&[&str], &str)]) -> Fields {
        let mut fields = Fields::default();
        for (path, value) in list {
            fields.add(path.iter().copied(), *value);
        }
        fields
    }

    fn check(old: Option<&Fields>, new: &Fields, expect: &[&str]) {
        let contract = pipe_schemas::stages::contract("frames").expect("a contract");
        assert_eq!(lines(&reasons(old, new, contract)), expect);
    }

    #[test]
    fn reasons_name_what_changed_with_old_and_new_value() {
        let old = fields(&[(&["with", "lr"], "0.1"), (&["sources", "root", "a"], "1"), (&["inputs", "x"], "1")]);
        let new = fields(&[(&["with", "lr"], "0.2"), (&["sources", "root", "b"], "1"), (&["inputs", "x"], "2")]);
        check(Some(&old), &new, &["input `x` changed", "b: added", "with.lr: 0.1 → 0.2", "a: removed"]);
        check(None, &new, &["first run"]);
        check(Some(&new), &new, &["the last result is no longer in the store"]);
    }

    #[test]
    fn an_old_default_is_marked_as_one() {
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
