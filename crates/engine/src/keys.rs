//! What an action's key is made of, and why a key differs from the last one.

use crate::run::RunError;
use crate::sources::Collected;
use crate::spec::StageSpec;
use pipe_cache::{Digest, Field, Fields};
use pipe_stage::protocol::Info;
use std::collections::BTreeMap;

/// How many changes are told one by one.
const MAX_REASONS: usize = 5;

/// Gathers all that decides the output of `stage`; see the table in [`pipe_cache::key`].
pub(crate) fn fields(
    stage: &StageSpec,
    inputs: &BTreeMap<&'static str, Digest>,
    sources: &BTreeMap<&'static str, Collected>,
    info: &Info,
) -> Result<Fields, RunError> {
    let mut fields = Fields::default();
    fields.add(["kind"], stage.contract.kind);
    fields.add(["version"], stage.contract.version.to_string());
    fields.add_json(&["with"], &stage.params);
    for (port, digest) in inputs {
        fields.add_input(port, *digest);
    }
    for (param, source) in sources {
        for file in &source.files {
            fields.add(["sources", param, &file.path], file.digest.clone());
        }
    }
    for tool in stage.contract.tools {
        let version = info
            .tools
            .get(tool.name())
            .ok_or_else(|| RunError::Tool { worker: stage.contract.worker.program(), tool: tool.name() })?;
        fields.add(["tools", tool.name()], version.clone());
    }
    Ok(fields.sorted())
}

/// Says why a key is not the last one of its stage, one line a changed field.
pub(crate) fn reasons(last: Option<&Fields>, now: &Fields) -> Vec<String> {
    let Some(last) = last else { return vec!["it has not run yet".into()] };
    let by_path = |fields: &Fields| -> BTreeMap<Vec<String>, String> {
        fields.iter().map(|Field { path, value }| (path.clone(), value.clone())).collect()
    };
    let (last, now) = (by_path(last), by_path(now));
    let mut reasons = Vec::new();
    for (path, value) in &now {
        match last.get(path) {
            Some(old) if old == value => {}
            Some(old) => reasons.push(changed(path, old, value)),
            None => reasons.push(appeared(path, value, "added")),
        }
    }
    let gone = last.iter().filter(|(path, _)| !now.contains_key(*path));
    reasons.extend(gone.map(|(path, old)| appeared(path, old, "removed")));
    if reasons.is_empty() {
        return vec!["its last result is no longer in the store".into()];
    }
    if reasons.len() > MAX_REASONS {
        let more = reasons.len() - MAX_REASONS;
        reasons.truncate(MAX_REASONS);
        reasons.push(format!("and {more} more changes"));
    }
    reasons
}

fn changed(path: &[String], old: &str, new: &str) -> String {
    match path {
        [first, port] if first == "inputs" => format!("the input `{port}` changed"),
        [first, _, file] if first == "sources" => format!("{}: changed", file_name(file)),
        _ => format!("{}: {old} → {new}", path.join(".")),
    }
}

fn appeared(path: &[String], value: &str, what: &str) -> String {
    match path {
        [first, port] if first == "inputs" => format!("the input `{port}` was {what}"),
        [first, _, file] if first == "sources" => format!("{}: {what}", file_name(file)),
        _ => format!("{}: {value} {what}", path.join(".")),
    }
}

fn file_name(path: &str) -> &str {
    if path.is_empty() { "the file" } else { path }
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

    #[test]
    fn reasons_name_what_changed_with_old_and_new_value() {
        let old = fields(&[(&["with", "lr"], "0.1"), (&["sources", "root", "a"], "1"), (&["inputs", "x"], "1")]);
        let new = fields(&[(&["with", "lr"], "0.2"), (&["sources", "root", "b"], "1"), (&["inputs", "x"], "2")]);
        let expect = ["the input `x` changed", "b: added", "with.lr: 0.1 → 0.2", "a: removed"];
        assert_eq!(reasons(Some(&old), &new), expect);
        assert_eq!(reasons(None, &new), ["it has not run yet"]);
        assert_eq!(reasons(Some(&new), &new), ["its last result is no longer in the store"]);
    }
}
