//! YAML to [`Node`]s: values from `serde_yaml`, places from `saphyr-parser`. Nothing else names either.
//!
//! Both read the same text; the values are walked along the events, so that each value knows its place. An alias has
//! the place where it is used.

use crate::diagnostics::Problem;
use crate::place::{Place, SourceText};
use saphyr_parser::{Event, Parser, Span};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// The largest pipeline file; real ones are a few kilobytes.
const MAX_FILE_BYTES: usize = 1 << 20;
/// The deepest nesting; real ones have about eight levels.
const MAX_DEPTH: usize = 64;
/// The most values of a file once aliases are written out.
const MAX_NODES: usize = 200_000;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
    /// Tagged `!replace`: takes the place of what it extends instead of being merged into it.
    pub(crate) replace: bool,
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

impl Value {
    /// Returns a single value as it is written inside a text.
    pub(crate) fn as_plain_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }
}

/// Nodes are equal when their values are; places do not matter.
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
        Self { value, place, replace: false }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let Value::Map(entries) = &mut self.value else { return None };
        entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    /// Returns what the value is, for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(value) => format!("the truth value {value}"),
            Value::Number(number) => format!("the number {number}"),
            Value::Text(text) => format!("the text \"{text}\""),
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

    /// Returns the place of the value at `path`, or of the nearest value above it that is there; with `key` the place
    /// of the last step's key.
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
            _ => &self.place,
        }
    }
}

/// Parses a text that holds one YAML document.
pub(crate) fn parse(source: &Arc<SourceText>) -> Result<Node, Problem> {
    let whole = Place::start_of(source);
    if source.text.len() > MAX_FILE_BYTES {
        let message = format!("{} bytes are more than a pipeline file may have ({MAX_FILE_BYTES})", source.text.len());
        return Err(Problem::new("too-large", &whole, message));
    }
    let events = read_events(source)?;
    let value: serde_yaml::Value = serde_yaml::from_str(&source.text).map_err(|error| yaml_problem(source, &error))?;
    Walk { source, events, num_nodes: 0 }.node(value, None, 0)
}

fn yaml_problem(source: &Arc<SourceText>, error: &serde_yaml::Error) -> Problem {
    let offset = error.location().map_or(0, |location| location.index()).min(source.text.len());
    let place = Place { source: Arc::clone(source), offset, length: 0 };
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text).to_owned();
    Problem::new("syntax", &place, text)
}

/// What the values are walked along: places of scalars, starts of collections, aliases.
struct Mark {
    place: Place,
    kind: MarkKind,
}

#[derive(Clone, Copy, PartialEq)]
enum MarkKind {
    Scalar,
    Start,
    End,
    Alias,
}

fn read_events(source: &Arc<SourceText>) -> Result<VecDeque<Mark>, Problem> {
    let offsets = ByteOffsets::new(&source.text);
    let place = |span: Span| {
        let (start, end) = (offsets.of(span.start.index()), offsets.of(span.end.index()));
        Place { source: Arc::clone(source), offset: start, length: end.saturating_sub(start) }
    };
    let (mut marks, mut depth, mut documents, mut keys) = (VecDeque::new(), 0usize, 0, Keys::default());
    for event in Parser::new_from_str(&source.text) {
        let (event, span) = event.map_err(|error| {
            let offset = offsets.of(error.marker().index());
            let place = Place { source: Arc::clone(source), offset, length: 0 };
            Problem::new("syntax", &place, error.info().to_owned())
        })?;
        if let Some(key) = keys.duplicate(&event) {
            let problem = Problem::new("duplicate-key", &place(span), format!("`{key}` stands here a second time"));
            return Err(problem.help("keep one of the two"));
        }
        let kind = match event {
            Event::Scalar(..) => MarkKind::Scalar,
            Event::SequenceStart(..) | Event::MappingStart(..) => MarkKind::Start,
            Event::SequenceEnd | Event::MappingEnd => MarkKind::End,
            Event::Alias(_) => MarkKind::Alias,
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    let problem = Problem::new("syntax", &place(span), "a second document in one file");
                    return Err(problem.help("keep one pipeline a file"));
                }
                continue;
            }
            _ => continue,
        };
        match kind {
            MarkKind::Start => depth += 1,
            MarkKind::End => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Problem::new("too-deep", &place(span), format!("nested deeper than {MAX_DEPTH} levels")));
        }
        marks.push_back(Mark { place: place(span), kind });
    }
    Ok(marks)
}

/// The keys of the maps that are open, to find one that stands twice; `serde_yaml` would only name its map.
#[derive(Default)]
struct Keys(Vec<OpenCollection>);

struct OpenCollection {
    /// `None` for a list.
    keys: Option<BTreeSet<String>>,
    /// Values and keys seen so far: in a map, an even number means that a key comes next.
    num_seen: usize,
}

impl Keys {
    fn duplicate(&mut self, event: &Event) -> Option<String> {
        let mut duplicate = None;
        if matches!(event, Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..))
            && let Some(open) = self.0.last_mut()
        {
            if let (Some(keys), Event::Scalar(key, ..), true) = (&mut open.keys, event, open.num_seen % 2 == 0)
                && !keys.insert(key.to_string())
            {
                duplicate = Some(key.to_string());
            }
            open.num_seen += 1;
        }
        match event {
            Event::SequenceStart(..) => self.0.push(OpenCollection { keys: None, num_seen: 0 }),
            Event::MappingStart(..) => self.0.push(OpenCollection { keys: Some(BTreeSet::new()), num_seen: 0 }),
            Event::SequenceEnd | Event::MappingEnd => {
                self.0.pop();
            }
            _ => {}
        }
        duplicate
    }
}

/// Character positions to byte offsets.
struct ByteOffsets(Vec<usize>, usize);

impl ByteOffsets {
    fn new(text: &str) -> Self {
        let ascii = text.is_ascii();
        Self(if ascii { Vec::new() } else { text.char_indices().map(|(offset, _)| offset).collect() }, text.len())
    }

    fn of(&self, character: usize) -> usize {
        if self.0.is_empty() { character.min(self.1) } else { self.0.get(character).copied().unwrap_or(self.1) }
    }
}

struct Walk<'a> {
    source: &'a Arc<SourceText>,
    events: VecDeque<Mark>,
    num_nodes: usize,
}

impl Walk<'_> {
    /// Builds the node of `value`. Inside an alias there are no events of its own: all of it is `at` the alias.
    fn node(&mut self, value: serde_yaml::Value, at: Option<&Place>, depth: usize) -> Result<Node, Problem> {
        self.num_nodes += 1;
        let mark = if at.is_some() { None } else { self.events.pop_front() };
        let place = at.cloned().or_else(|| mark.as_ref().map(|mark| mark.place.clone()));
        let place = place.unwrap_or_else(|| Place::start_of(self.source));
        if self.num_nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(Problem::new("too-large", &place, "aliases that blow up into too many values"));
        }
        let inside = match &mark {
            Some(mark) if mark.kind != MarkKind::Alias => None,
            _ => Some(&place),
        };
        let (value, replace) = untag(value, &place)?;
        let value = match value {
            // No tag is left: untag() has taken them off.
            serde_yaml::Value::Null | serde_yaml::Value::Tagged(_) => Value::Null,
            serde_yaml::Value::Bool(value) => Value::Bool(value),
            serde_yaml::Value::Number(number) => Value::Number(json_number(&number, &place)?),
            serde_yaml::Value::String(text) => Value::Text(text),
            serde_yaml::Value::Sequence(values) => {
                let nodes =
                    values.into_iter().map(|value| self.node(value, inside, depth + 1)).collect::<Result<_, _>>()?;
                self.end(inside);
                Value::List(nodes)
            }
            serde_yaml::Value::Mapping(map) => {
                let entries = map
                    .into_iter()
                    .map(|(key, value)| self.entry(key, value, inside, depth))
                    .collect::<Result<_, _>>()?;
                self.end(inside);
                Value::Map(entries)
            }
        };
        Ok(Node { value, place: trimmed(place), replace })
    }

    fn entry(
        &mut self,
        key: serde_yaml::Value,
        value: serde_yaml::Value,
        inside: Option<&Place>,
        depth: usize,
    ) -> Result<Entry, Problem> {
        let key = self.node(key, inside, depth + 1)?;
        let name = match &key.value {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => {
                return Err(Problem::new(
                    "bad-key",
                    &key.place,
                    format!("a key must be a word, this is {}", key.describe()),
                ));
            }
        };
        Ok(Entry { key: name, key_place: key.place, node: self.node(value, inside, depth + 1)? })
    }

    fn end(&mut self, inside: Option<&Place>) {
        if inside.is_none() && self.events.front().is_some_and(|mark| mark.kind == MarkKind::End) {
            self.events.pop_front();
        }
    }
}

/// Cuts a place at its first line's end: collections are pointed at by where they begin.
fn trimmed(mut place: Place) -> Place {
    if let Some(text) = place.source.text.get(place.offset..place.offset + place.length) {
        place.length = text.lines().next().map_or(0, |line| line.trim_end().len());
    }
    place
}

fn untag(value: serde_yaml::Value, place: &Place) -> Result<(serde_yaml::Value, bool), Problem> {
    match value {
        serde_yaml::Value::Tagged(tagged) if tagged.tag == "replace" => Ok((tagged.value, true)),
        serde_yaml::Value::Tagged(tagged) => {
            let problem = Problem::new("unknown-tag", place, format!("unknown tag `{}`", tagged.tag));
            Err(problem.help("the only tag is `!replace`"))
        }
        other => Ok((other, false)),
    }
}

fn json_number(number: &serde_yaml::Number, place: &Place) -> Result<serde_json::Number, Problem> {
    let converted = match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(value), _, _) => Some(value.into()),
        (_, Some(value), _) => Some(value.into()),
        (_, _, Some(value)) => serde_json::Number::from_f64(value),
        _ => None,
    };
    converted.ok_or_else(|| Problem::new("bad-number", place, format!("{number} is not a finite number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Arc<SourceText> {
        Arc::new(SourceText { name: "p.yaml".into(), path: None, text: text.into() })
    }

    fn at(source: &str, path: &[&str]) -> (usize, usize) {
        let node = parse(&text(source)).expect("parsed");
        let path: Vec<String> = path.iter().map(|&step| step.to_owned()).collect();
        node.place_of(&path, false).line_column()
    }

    #[test]
    fn every_value_knows_its_place() {
        let source = "ü: é\na:\n  b: [1, {c: x}]\n  d: 'q'\n";
        assert_eq!(at(source, &["ü"]), (1, 4));
        assert_eq!(at(source, &["a", "b", "1", "c"]), (3, 14));
        assert_eq!(at(source, &["a", "d"]), (4, 6));
        assert_eq!(at(source, &["a", "absent"]), (3, 3));
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        let source = "a: &x {b: [1, 2]}\nc: *x\nd: 3\n";
        assert_eq!(at(source, &["c", "b", "1"]), (2, 4));
        assert_eq!(at(source, &["d"]), (3, 4));
    }

    #[test]
    fn what_is_no_pipeline_text_is_a_problem_with_a_place() {
        let check = |source: &str, expect: &str, line: usize| {
            let problem = parse(&text(source)).expect_err(source);
            assert!(problem.message.contains(expect), "{source:?}: {}", problem.message);
            assert_eq!(problem.place.line_column().0, line, "{source:?}: {}", problem.message);
        };
        check("a: 1\na: 2\n", "second time", 2);
        check("b: {a: [x, x], c: {a: 1}}\na: {b: 1, b: 2}\n", "second time", 2);
        check("a: [1\n", "", 2);
        check("a: 1\n---\nb: 2\n", "second document", 2);
        check("a: !other 1\n", "unknown tag", 1);
        check("a: .inf\n", "finite", 1);
        check("[1]: 2\n", "key must be a word", 1);
        check(&"[".repeat(1000), "", 1);
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let previous = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", [previous.as_str(); 9].join(", "));
        }
        assert!(parse(&text(&bomb)).is_err());
    }
}
