//! Merges a pipeline file with the files that it extends: maps merge key by key, all other values are replaced.

use crate::builtin;
use crate::diagnostics::{Problem, UNREADABLE_FILE};
use crate::place::{Place, SourceText};
use crate::vars::uses;
use crate::yaml::{Entry, Node, Value, parse};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum length of a chain of files that extend each other.
const MAX_EXTENDS: usize = 16;

/// The texts that make up a pipeline.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// The pipeline file, the files that it extends and the settings, in the order of reading.
    pub(crate) all: Vec<Arc<SourceText>>,
    /// The variables that any text uses, also where another text overrides the use.
    pub(crate) used_vars: BTreeSet<String>,
}

impl Texts {
    /// Adds the variables that the values of a text use.
    pub(crate) fn add_uses(&mut self, node: &Node) {
        self.used_vars.extend(uses::named(node).into_iter().map(str::to_owned));
    }
}

/// Merges `over` into `base`: maps merge key by key, a null removes the key of `base`, and `!replace` and all other values replace.
/// A null without a key of `base` stays, so that a misspelt key without a value is found.
pub(crate) fn merge(base: Node, over: Node) -> Node {
    let over_place = over.place.clone();
    match (base.value, over.value) {
        (Value::Map(entries), Value::Map(over_entries)) if !over.replace => {
            Node::new(Value::Map(merge_entries(entries, over_entries)), over_place)
        }
        (_, value) => Node { spelling: over.spelling, ..Node::new(value, over_place) },
    }
}

/// Keys of `entries` keep their order, and new keys are appended.
pub(crate) fn merge_entries(entries: Vec<Entry>, over: Vec<Entry>) -> Vec<Entry> {
    let positions: HashMap<String, usize> =
        entries.iter().enumerate().map(|(position, entry)| (entry.key.clone(), position)).collect();
    let mut merged: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    for over in over {
        let Some(&position) = positions.get(&over.key) else {
            merged.push(Some(over));
            continue;
        };
        merged[position] = match merged[position].take() {
            Some(base) if over.node.is_null() && !base.node.is_null() => None,
            Some(base) => Some(Entry { node: merge(base.node, over.node), ..over }),
            None => Some(over),
        };
    }
    merged.into_iter().flatten().collect()
}

/// Reads a file with all files that it extends. Every text is added to `texts`.
pub(crate) fn read(path: &Path, texts: &mut Texts) -> Result<Node, Vec<Problem>> {
    let source = SourceText::read(path).map_err(|error| {
        let empty = SourceText::new(path.display().to_string(), None, "");
        let place = Place::start_of(&empty);
        texts.all.push(empty);
        vec![Problem::new(UNREADABLE_FILE, &place, error.to_string())]
    })?;
    read_text(&source, &[], texts)
}

fn read_text(source: &Arc<SourceText>, above: &[PathBuf], texts: &mut Texts) -> Result<Node, Vec<Problem>> {
    texts.all.push(Arc::clone(source));
    let mut node = parse(source).map_err(|problem| vec![problem])?;
    if !matches!(node.value, Value::Map(_)) {
        let problem = Problem::new("not-a-pipeline", &node.place, format!("expected a map, found {}", node.describe()));
        return Err(vec![
            problem.help("a pipeline file is a map with the keys `pipeline`, `extends`, `vars` and `stages`"),
        ]);
    }
    texts.add_uses(&node);
    let Some(extends) = take(&mut node, "extends") else {
        return Ok(merge(Node::new(Value::Map(Vec::new()), node.place.clone()), node));
    };
    let bases = match &extends.value {
        Value::List(bases) => bases.as_slice(),
        Value::Text(_) => std::slice::from_ref(&extends),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Map(_) => {
            let message = format!("expected a list of files, found {}", extends.describe());
            let problem = Problem::new("wrong-type", &extends.place, message);
            return Err(vec![problem.help("extends: [builtin/models/tsn_r50]")]);
        }
    };
    let (mut merged, mut problems) = (Node::new(Value::Map(Vec::new()), node.place.clone()), Vec::new());
    for base in bases {
        match read_base(base, source, above, texts) {
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
    texts: &mut Texts,
) -> Result<Node, Vec<Problem>> {
    let problem = |message: String| vec![Problem::new("extends", &base.place, message)];
    let Value::Text(name) = &base.value else {
        return Err(problem(format!("expected a file, found {}", base.describe())));
    };
    let here = match &source.path {
        Some(path) => path.canonicalize().ok(),
        None => Some(source.name.clone().into()),
    };
    let above: Vec<PathBuf> = above.iter().cloned().chain(here).collect();
    let (text, canonical) = match builtin::named(name, &source.name) {
        Some(name) => (built_in(&name, &base.place)?, None),
        None => on_disk(name, source, &base.place)?,
    };
    if above.contains(&canonical.unwrap_or_else(|| text.name.clone().into())) {
        return Err(problem(format!("{} extends itself", text.name)));
    }
    if above.len() >= MAX_EXTENDS {
        return Err(problem(format!("a chain of more than {MAX_EXTENDS} files that extend each other")));
    }
    read_text(&text, &above, texts)
}

/// Returns the built-in file with a name such as `builtin/models/tsn_r50`.
fn built_in(name: &str, place: &Place) -> Result<Arc<SourceText>, Vec<Problem>> {
    match builtin::base(name) {
        Ok(base) => Ok(SourceText::new(format!("{}{}.yaml", builtin::PREFIX, base.name), None, base.text)),
        Err(nearest) => {
            let help = match nearest {
                Some(nearest) => format!("did you mean `{}{nearest}`? `pipe bases` lists all", builtin::PREFIX),
                None => "`pipe bases` lists the built-in files".to_owned(),
            };
            Err(vec![Problem::new("extends", place, format!("there is no built-in file `{name}`")).help(help)])
        }
    }
}

/// Reads a file on disk, whose name is relative to the folder of the file that extends it. Returns its canonical path, too.
fn on_disk(name: &str, from: &SourceText, place: &Place) -> Result<(Arc<SourceText>, Option<PathBuf>), Vec<Problem>> {
    let path = from.path.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).join(name);
    let read = SourceText::read(&path).and_then(|text| Ok((text, Some(path.canonicalize()?))));
    read.map_err(|error| {
        let problem = Problem::new("extends", place, error.to_string());
        vec![match builtin::of_checkout(name) {
            Some(base) => problem.help(format!("the same file is built in, as `{}{}`", builtin::PREFIX, base.name)),
            None => problem.help("paths are relative to the file that extends; `pipe bases` lists the built-in files"),
        }]
    })
}

/// Removes the entry `key` of a map.
pub(crate) fn take(node: &mut Node, key: &str) -> Option<Node> {
    let Value::Map(entries) = &mut node.value else { return None };
    let position = entries.iter().position(|entry| entry.key == key)?;
    Some(entries.remove(position).node)
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
        check("{a: {b: 1}}", "{a: !replace {c: null}}", json!({"a": {"c": null}}));
        check("{a: !replace {b: 1}}", "{a: {c: 2}}", json!({"a": {"b": 1, "c": 2}}));
    }

    #[test]
    fn a_null_without_a_key_to_remove_stays() {
        check("{}", "{a: {b: null, c: 1}}", json!({"a": {"b": null, "c": 1}}));
        check("{a: {c: 1}}", "{a: {b: null}}", json!({"a": {"c": 1, "b": null}}));
        check("{a: {b: null}}", "{a: {b: null}}", json!({"a": {"b": null}}));
        check("{a: {b: null}}", "{a: {b: 1}}", json!({"a": {"b": 1}}));
    }

    #[test]
    fn files_extend_files_and_not_themselves() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("one.yaml", "extends: [two.yaml, three.yaml]\na: 1\n");
        write("two.yaml", "a: 2\nb: 2\nc: 2\n");
        write("three.yaml", "b: 3\n");
        let merged = read(&folder.path().join("one.yaml"), &mut Texts::default()).expect("read");
        assert_eq!(merged.to_json(), json!({"a": 1, "b": 3, "c": 2}));
        write("two.yaml", "extends: [one.yaml]\n");
        let problems = read(&folder.path().join("one.yaml"), &mut Texts::default()).expect_err("a cycle");
        assert!(problems[0].message.contains("extends itself"), "{}", problems[0].message);
    }

    #[test]
    fn built_in_files_extend_each_other_and_are_extended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p.yaml");
        let read = |extends: &str| {
            fs::write(&path, format!("extends: {extends}\n")).expect("written");
            super::read(&path, &mut Texts::default())
        };
        for extends in ["builtin/models/tsn_mobilenet_v2", "[builtin/models/tsn_mobilenet_v2.yaml]"] {
            let merged = read(extends).expect("read");
            let backbone = ["stages", "model", "with", "model", "backbone", "type"];
            let found = backbone.into_iter().try_fold(&merged, |node, key| node.get(key)).map(Node::to_json);
            assert_eq!(found, Some(json!("MobileNetV2")));
            assert!(merged.get("stages").and_then(|stages| stages.get("samples")).is_some(), "of tsn_r50");
        }
        let problem = read("builtin/models/tsn_r500").expect_err("unknown").remove(0);
        assert_eq!(problem.message, "there is no built-in file `builtin/models/tsn_r500`");
        assert!(problem.help.is_some_and(|help| help.contains("did you mean `builtin/models/tsn_r50`?")));
        let problem = read("pipelines/base/models/tsn_r50.yaml").expect_err("absent").remove(0);
        assert!(problem.help.is_some_and(|help| help.contains("built in, as `builtin/models/tsn_r50`")));
        assert!(read("").expect_err("nothing").remove(0).message.contains("found nothing"));
    }

    #[test]
    fn an_endless_file_is_an_error() {
        let problems = read(Path::new("/dev/zero"), &mut Texts::default()).expect_err("zeros");
        assert!(problems[0].message.contains("larger than"), "{}", problems[0].message);
    }
}
