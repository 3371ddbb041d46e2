//! Merges a pipeline file with the files that it extends, and applies `--set`: maps merge key by key, all other values are
//! replaced.

use crate::diagnostics::Problem;
use crate::place::{Place, SourceText};
use crate::yaml::{Entry, Node, Value, parse};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum length of a chain of files that extend each other.
const MAX_EXTENDS: usize = 16;

/// Merges `over` into `base`: maps merge key by key, a null removes its key, and `!replace` and all other values replace.
pub(crate) fn merge(base: Node, over: Node) -> Node {
    let over_place = over.place.clone();
    match (base.value, over.value) {
        (Value::Map(entries), Value::Map(over_entries)) if !over.replace => {
            Node::new(Value::Map(merge_entries(entries, over_entries)), over_place)
        }
        (_, value) => Node { value, place: over_place, replace: false },
    }
}

/// Keys of `entries` keep their order, and new keys are appended.
fn merge_entries(entries: Vec<Entry>, mut over: Vec<Entry>) -> Vec<Entry> {
    if entries.is_empty() {
        remove_nulls(&mut over);
        return over;
    }
    let positions: HashMap<String, usize> =
        entries.iter().enumerate().map(|(position, entry)| (entry.key.clone(), position)).collect();
    let mut merged: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    for entry in over {
        let known = positions.get(&entry.key).copied();
        let base = known.and_then(|position| merged[position].take());
        let entry = if matches!(entry.node.value, Value::Null) { None } else { Some(merge_entry(base, entry)) };
        match known {
            Some(position) => merged[position] = entry,
            None => merged.push(entry),
        }
    }
    merged.into_iter().flatten().collect()
}

fn merge_entry(base: Option<Entry>, mut over: Entry) -> Entry {
    if let Some(base) = base {
        return Entry { node: merge(base.node, over.node), ..over };
    }
    finish(&mut over.node);
    over
}

/// Finishes a value that has nothing to merge with: nulls inside still remove their keys.
fn finish(node: &mut Node) {
    if let Value::Map(entries) = &mut node.value {
        if !node.replace {
            remove_nulls(entries);
        }
        node.replace = false;
    }
}

fn remove_nulls(entries: &mut Vec<Entry>) {
    entries.retain(|entry| !matches!(entry.node.value, Value::Null));
    for entry in entries {
        finish(&mut entry.node);
    }
}

/// Reads a file with all files that it extends. Every text is added to `files`, in the order of reading.
pub(crate) fn read(path: &Path, files: &mut Vec<Arc<SourceText>>) -> Result<Node, Vec<Problem>> {
    let source = SourceText::read(path).map_err(|error| {
        let empty = SourceText::new(path.display().to_string(), None, "");
        let place = Place::start_of(&empty);
        files.push(empty);
        vec![Problem::new("unreadable-file", &place, error.to_string())]
    })?;
    read_text(&source, &[], files)
}

fn read_text(
    source: &Arc<SourceText>,
    above: &[PathBuf],
    files: &mut Vec<Arc<SourceText>>,
) -> Result<Node, Vec<Problem>> {
    files.push(Arc::clone(source));
    let mut node = parse(source).map_err(|problem| vec![problem])?;
    if !matches!(node.value, Value::Map(_)) {
        let problem = Problem::new("not-a-pipeline", &node.place, format!("expected a map, found {}", node.describe()));
        return Err(vec![
            problem.help("a pipeline file is a map with the keys `pipeline`, `extends`, `vars` and `stages`"),
        ]);
    }
    let Some(extends) = take(&mut node, "extends") else {
        return Ok(merge(Node::new(Value::Map(Vec::new()), node.place.clone()), node));
    };
    let Value::List(bases) = &extends.value else {
        let message = format!("expected a list of files, found {}", extends.describe());
        return Err(vec![
            Problem::new("wrong-type", &extends.place, message).help("extends: [base/models/tsn_r50.yaml]"),
        ]);
    };
    let (mut merged, mut problems) = (Node::new(Value::Map(Vec::new()), node.place.clone()), Vec::new());
    for base in bases {
        match read_base(base, source, above, files) {
            Ok(base) => merged = merge(merged, base),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(merge(merged, node)) } else { Err(problems) }
}

fn read_base(
    base: &Node,
    source: &Arc<SourceText>,
    above: &[PathBuf],
    files: &mut Vec<Arc<SourceText>>,
) -> Result<Node, Vec<Problem>> {
    let problem = |message: String| vec![Problem::new("extends", &base.place, message)];
    let Value::Text(name) = &base.value else {
        return Err(problem(format!("expected a file, found {}", base.describe())));
    };
    let folder = source.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let path = folder.join(name);
    let base = SourceText::read(&path).map_err(|error| problem(error.to_string()))?;
    let here = source.path.as_deref().and_then(|path| path.canonicalize().ok());
    let above: Vec<PathBuf> = above.iter().cloned().chain(here).collect();
    let canonical = path.canonicalize().map_err(|error| problem(error.to_string()))?;
    if above.contains(&canonical) {
        return Err(problem(format!("{} extends itself", path.display())));
    }
    if above.len() >= MAX_EXTENDS {
        return Err(problem(format!("a chain of more than {MAX_EXTENDS} files that extend each other")));
    }
    read_text(&base, &above, files)
}

/// Removes the entry `key` of a map.
pub(crate) fn take(node: &mut Node, key: &str) -> Option<Node> {
    let Value::Map(entries) = &mut node.value else { return None };
    let position = entries.iter().position(|entry| entry.key == key)?;
    Some(entries.remove(position).node)
}

/// Applies one `--set PATH=VALUE`. A step into a list is a position.
pub(crate) fn set(root: &mut Node, setting: &str, files: &mut Vec<Arc<SourceText>>) -> Result<(), Problem> {
    let (path, text) = setting.split_once('=').unwrap_or((setting, ""));
    let name = format!("--set {path}");
    let source = SourceText::new(&name, None, text);
    files.push(Arc::clone(&source));
    let place = Place::start_of(&source);
    let steps: Vec<&str> = path.split('.').collect();
    if !setting.contains('=') || steps.iter().any(|step| step.is_empty()) {
        let problem = Problem::new("bad-setting", &place, format!("`{setting}` is not of the form PATH=VALUE"));
        return Err(problem.help("for example --set stages.model.with.optim_wrapper.optimizer.lr=0.01"));
    }
    let value =
        if text.trim().is_empty() { Node::new(Value::Text(text.to_owned()), place.clone()) } else { parse(&source)? };
    set_at(root, &steps, value, &place)
}

fn set_at(node: &mut Node, steps: &[&str], value: Node, place: &Place) -> Result<(), Problem> {
    let Some((&step, rest)) = steps.split_first() else {
        let base = std::mem::replace(node, Node::new(Value::Null, place.clone()));
        *node = merge(base, value);
        return Ok(());
    };
    match &mut node.value {
        Value::List(nodes) => {
            let count = nodes.len();
            let child = step.parse().ok().and_then(|position: usize| nodes.get_mut(position));
            let Some(child) = child else {
                let problem =
                    Problem::new("bad-setting", place, format!("`{step}` is not a position in a list of {count}"));
                return Err(problem.help("positions count from 0"));
            };
            set_at(child, rest, value, place)
        }
        Value::Map(entries) => {
            if rest.is_empty() {
                let entry = Entry { key: step.to_owned(), key_place: place.clone(), node: value };
                *entries = merge_entries(std::mem::take(entries), vec![entry]);
                return Ok(());
            }
            let position = entries.iter().position(|entry| entry.key == step).unwrap_or_else(|| {
                let node = Node::new(Value::Map(Vec::new()), place.clone());
                entries.push(Entry { key: step.to_owned(), key_place: place.clone(), node });
                entries.len() - 1
            });
            set_at(&mut entries[position].node, rest, value, place)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
            *node = Node::new(Value::Map(Vec::new()), place.clone());
            set_at(node, steps, value, place)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;
    use serde_json::json;

    fn node(text: &str) -> Node {
        parse(&SourceText::new("t", None, text)).expect("parsed")
    }

    fn check(base: &str, over: &str, expect: serde_json::Value) {
        assert_eq!(merge(node(base), node(over)).to_json(), expect);
    }

    #[test]
    fn maps_merge_and_other_values_are_replaced() {
        check("{a: 1, b: {c: 2, d: 3}}", "{b: {c: 4}, e: 5}", json!({"a": 1, "b": {"c": 4, "d": 3}, "e": 5}));
        check("{a: [1, 2]}", "{a: [3]}", json!({"a": [3]}));
        check("{a: {b: 1}}", "{a: 2}", json!({"a": 2}));
        check("{a: {b: 1, c: 2}}", "{a: {b: null}}", json!({"a": {"c": 2}}));
        check("{a: {b: 1}}", "{a: !replace {c: 2}}", json!({"a": {"c": 2}}));
        check("{}", "{a: {b: null, c: 1}}", json!({"a": {"c": 1}}));
    }

    #[test]
    fn settings_reach_into_maps_and_lists() {
        let check = |setting: &str, expect: serde_json::Value| {
            let mut root = node("{a: {b: [1, {c: 2}]}}");
            set(&mut root, setting, &mut Vec::new()).expect("set");
            assert_eq!(root.to_json(), expect);
        };
        check("a.b.1.c=0.5", json!({"a": {"b": [1, {"c": 0.5}]}}));
        check("a.x=[3]", json!({"a": {"b": [1, {"c": 2}], "x": [3]}}));
        check("vars.data=some/where", json!({"a": {"b": [1, {"c": 2}]}, "vars": {"data": "some/where"}}));
        check("a=null", json!({}));
        let mut root = node("{a: [1]}");
        assert!(set(&mut root, "a.1=2", &mut Vec::new()).is_err());
        assert!(set(&mut root, "nonsense", &mut Vec::new()).is_err());
        assert!(set(&mut root, "a..b=1", &mut Vec::new()).is_err());
    }

    #[test]
    fn files_extend_files_and_not_themselves() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("one.yaml", "extends: [two.yaml, three.yaml]\na: 1\n");
        write("two.yaml", "a: 2\nb: 2\nc: 2\n");
        write("three.yaml", "b: 3\n");
        let merged = read(&folder.path().join("one.yaml"), &mut Vec::new()).expect("read");
        assert_eq!(merged.to_json(), json!({"a": 1, "b": 3, "c": 2}));
        write("two.yaml", "extends: [one.yaml]\n");
        let problems = read(&folder.path().join("one.yaml"), &mut Vec::new()).expect_err("a cycle");
        assert!(problems[0].message.contains("extends itself"), "{}", problems[0].message);
    }

    #[test]
    fn an_endless_file_is_an_error() {
        let problems = read(Path::new("/dev/zero"), &mut Vec::new()).expect_err("zeros");
        assert!(problems[0].message.contains("larger than"), "{}", problems[0].message);
    }
}
