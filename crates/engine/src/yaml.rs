//! [`parse`]: from YAML to [`Node`]s. `serde_yaml` reads the values and `saphyr-parser` their places; no other module uses either.
//!
//! Each value keeps its number in its text. Its place is looked up only when a problem is reported. The values of an alias have
//! the place of the alias.

use crate::diagnostics::Problem;
use crate::place::{Place, SourceText};
use bounds::{MAX_FILE_BYTES, NODE_BYTES};
use marks::Mistake;
use read::Failure;
use std::sync::Arc;

pub(crate) mod bounds;
pub(crate) mod keys;
pub(crate) mod marks;
mod read;

/// Maximum length of a quotation from the file in a message.
const MAX_SHOWN_CHARS: usize = 80;

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
    /// Tagged `!replace`: replaces the value that it extends instead of merging with it.
    pub(crate) replace: bool,
    /// How a number or a truth value is written, if that is not the text at its place: it comes from an alias or a variable.
    pub(crate) spelling: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) node: Node,
}

/// Nodes with equal values are equal, whatever their places.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.replace == other.replace
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Node {
    pub(crate) fn new(value: Value, place: Place) -> Self {
        Self { value, place, replace: false, spelling: None }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Returns how a number or a truth value is written: `1.10` is not `1.1`. `None` for other values.
    pub(crate) fn spelled(&self) -> Option<String> {
        let number = match &self.value {
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => return None,
        };
        let written = self.spelling.as_deref().or_else(|| self.place.text());
        Some(written.map_or(number, str::to_owned))
    }

    /// Returns a scalar as the text that it has inside another text; `None` for other values.
    pub(crate) fn plain_text(&self) -> Option<String> {
        if let Value::Text(text) = &self.value { Some(text.clone()) } else { self.spelled() }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let Value::Map(entries) = &mut self.value else { return None };
        entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    /// Describes the value for a message.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(value) => format!("the truth value {value}"),
            Value::Number(number) => format!("the number {number}"),
            Value::Text(text) => match text.char_indices().nth(MAX_SHOWN_CHARS) {
                Some((end, _)) => format!("the text \"{}…\"", &text[..end]),
                None => format!("the text \"{text}\""),
            },
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::Text(text) => text.clone().into(),
            Value::List(nodes) => nodes.iter().map(Node::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
        }
    }

    /// Estimates the memory of the value in bytes.
    pub(crate) fn weight(&self) -> usize {
        let below = match &self.value {
            Value::List(nodes) => nodes.iter().map(Node::weight).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.key.len() + entry.node.weight()).sum(),
            Value::Text(text) => text.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        };
        NODE_BYTES + below
    }

    /// Returns the place of the value at `path`, or of the innermost value around it that exists; with `key`, the place of the
    /// last step's key.
    pub(crate) fn place_of(&self, path: &[String], key: bool) -> &Place {
        let Some((first, rest)) = path.split_first() else { return &self.place };
        match &self.value {
            Value::Map(entries) => match entries.iter().find(|entry| entry.key == *first) {
                Some(entry) if rest.is_empty() && key => &entry.key_place,
                Some(entry) => entry.node.place_of(rest, key),
                None => &self.place,
            },
            Value::List(nodes) => {
                let node = first.parse().ok().and_then(|position: usize| nodes.get(position));
                node.map_or(&self.place, |node| node.place_of(rest, key))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => &self.place,
        }
    }
}

/// Parses a text with one YAML document.
pub(crate) fn parse(source: &Arc<SourceText>) -> Result<Node, Problem> {
    let text = &source.text;
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the file is larger than {MAX_FILE_BYTES} bytes");
        return Err(Problem::new("too-large", &Place::start_of(source), message));
    }
    // Without an anchor there is no alias. Without an alias, values are numbered in order of appearance, and their number is
    // bounded by the length of the text.
    let has_aliases = text.contains('&');
    if has_aliases || marks::may_nest_deeply(text) {
        check(source)?;
    }
    read::read(source, has_aliases).map_err(|failure| match failure {
        Failure::Problem(problem) => problem,
        // The other parser has better messages and places.
        Failure::Yaml(error) => check(source).err().unwrap_or_else(|| yaml_problem(source, &error)),
    })
}

/// Returns the first mistake of a text, with its place.
fn check(source: &Arc<SourceText>) -> Result<(), Problem> {
    let Some(Mistake { offset, length, code, message, help }) = source.marks().mistake() else { return Ok(()) };
    let problem = Problem::new(code, &Place::bytes(source, *offset, *length), message);
    Err(match help {
        Some(help) => problem.help(*help),
        None => problem,
    })
}

fn yaml_problem(source: &Arc<SourceText>, error: &serde_yaml::Error) -> Problem {
    let offset = error.location().map_or(0, |location| location.index()).min(source.text.len());
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text).to_owned();
    Problem::new("syntax", &Place::bytes(source, offset, 0), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Arc<SourceText> {
        SourceText::new("p.yaml", None, text)
    }

    fn at(source: &str, path: &[&str]) -> (usize, usize) {
        let node = parse(&text(source)).expect("parsed");
        let path: Vec<String> = path.iter().map(|&step| step.to_owned()).collect();
        node.place_of(&path, false).line_column()
    }

    #[test]
    fn every_value_has_its_place() {
        let source = "ü: é\na:\n  b: [1, {c: x}]\n  d: 'q'\n";
        assert_eq!(at(source, &["ü"]), (1, 4));
        assert_eq!(at(source, &["a", "b", "1", "c"]), (3, 14));
        assert_eq!(at(source, &["a", "d"]), (4, 6));
        assert_eq!(at(source, &["a", "absent"]), (3, 3));
    }

    #[test]
    fn an_alias_has_the_place_of_its_use() {
        let source = "a: &x {b: [1, 2]}\nc: *x\nd: 3\n";
        assert_eq!(at(source, &["c", "b", "1"]), (2, 4));
        assert_eq!(at(source, &["d"]), (3, 4));
    }

    #[test]
    fn numbers_keep_their_spelling_also_through_aliases() {
        let source = "a: &x 1.10\nb: *x\nc: &m {d: 1e3, e: [0x10, True]}\nf: *m\ng: {<<: *m, h: 2.50}\n1.10: y\n";
        let node = parse(&text(source)).expect("parsed");
        let spelled = |path: &[&str]| path.iter().try_fold(&node, |node, key| node.get(key)).and_then(Node::spelled);
        assert_eq!(spelled(&["a"]).as_deref(), Some("1.10"));
        assert_eq!(spelled(&["b"]).as_deref(), Some("1.10"));
        for map in ["c", "f", "g"] {
            assert_eq!(spelled(&[map, "d"]).as_deref(), Some("1e3"), "{map}");
            let Some(Value::List(items)) = node.get(map).and_then(|map| map.get("e")).map(|list| &list.value) else {
                panic!("no list in {map}");
            };
            let items: Vec<String> = items.iter().filter_map(Node::spelled).collect();
            assert_eq!(items, ["0x10", "True"], "{map}");
        }
        assert_eq!(spelled(&["g", "h"]).as_deref(), Some("2.50"));
        assert!(node.get("1.10").is_some());
    }

    #[test]
    fn a_merge_key_adds_what_a_map_does_not_have() {
        let json = |source: &str| parse(&text(source)).map(|node| node.to_json()).map_err(|problem| problem.message);
        let base = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\n";
        let merged = |map: &str| json(&format!("{base}c: {map}\n")).map(|value| value["c"].clone());
        assert_eq!(merged("{<<: *a, y: 3}"), Ok(serde_json::json!({"x": 1, "y": 3})));
        assert_eq!(merged("{y: 3, <<: *a}"), Ok(serde_json::json!({"x": 1, "y": 3})));
        assert_eq!(merged("{<<: [*a, *b]}"), Ok(serde_json::json!({"x": 1, "y": 1, "z": 2})));
        assert!(merged("{<<: 3}").is_err_and(|message| message.contains("expected a map or a list of maps")));
        assert!(merged("{<<: [*a, 3]}").is_err_and(|message| message.contains("found the number 3")));
    }

    #[test]
    fn invalid_texts_are_problems_with_places() {
        let check = |source: &str, expect: &str, line: usize| {
            let problem = parse(&text(source)).expect_err(source);
            assert!(problem.message.contains(expect), "{source:?}: {}", problem.message);
            assert_eq!(problem.place.line_column().0, line, "{source:?}: {}", problem.message);
        };
        check("a: 1\na: 2\n", "duplicate key", 2);
        check("b: {a: [x, x], c: {a: 1}}\na: {b: 1, b: 2}\n", "duplicate key", 2);
        check("a: [1\n", "", 2);
        check("a: 1\n---\nb: 2\n", "second document", 2);
        check("a: !other 1\n", "unknown tag", 1);
        check("a: .inf\n", "finite", 1);
        check("[1]: 2\n", "expected a word as key", 1);
        check(&"[".repeat(1000), "", 1);
    }

    #[test]
    fn an_alias_bomb_is_an_error() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let previous = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", [previous.as_str(); 9].join(", "));
        }
        let problem = parse(&text(&bomb)).expect_err("a bomb");
        assert!(problem.message.contains("expand to too many"), "{}", problem.message);
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), ["*a"; 1000].join(", "));
        let problem = parse(&text(&long)).expect_err("a hundred megabytes");
        assert!(problem.message.contains("expand to too many"), "{}", problem.message);
    }
}
