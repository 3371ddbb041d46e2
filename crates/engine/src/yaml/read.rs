//! [`read`]: deserializes YAML directly into [`Node`]s, without the value type of `serde_yaml` in between.

use super::bounds::MAX_DEPTH;
use super::{Entry, Node, Value};
use crate::diagnostics::Problem;
use crate::place::{Place, SourceText};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The key of YAML 1.1 whose value is merged into its map.
const MERGE_KEY: &str = "<<";

/// Why a text can't be read.
pub(super) enum Failure {
    /// Valid YAML that a pipeline file may not contain.
    Problem(Problem),
    Yaml(serde_yaml::Error),
}

/// Reads a text with one document.
pub(super) fn read(source: &Arc<SourceText>, has_aliases: bool) -> Result<Node, Failure> {
    let reading = Reading { source, has_aliases, problem: RefCell::new(None) };
    let cursor = Cursor { next: Cell::new(0), inside: None };
    let node = NodeSeed { reading: &reading, cursor: &cursor, depth: 0 };
    let node = node.deserialize(serde_yaml::Deserializer::from_str(&source.text));
    node.map_err(|error| reading.problem.take().map_or(Failure::Yaml(error), Failure::Problem))
}

struct Reading<'a> {
    source: &'a Arc<SourceText>,
    has_aliases: bool,
    /// The problem to report instead of the error that ended the reading.
    problem: RefCell<Option<Problem>>,
}

impl Reading<'_> {
    fn reject<E: Error>(&self, problem: Problem) -> E {
        *self.problem.borrow_mut() = Some(problem);
        E::custom("rejected")
    }
}

/// Where the reading is in the values of the text, or in those that an alias stands for.
struct Cursor<'a> {
    /// The number of the next value or key.
    next: Cell<usize>,
    /// The place of the alias, which all values inside it have.
    inside: Option<&'a Place>,
}

/// Reads one value.
#[derive(Clone, Copy)]
struct NodeSeed<'a> {
    reading: &'a Reading<'a>,
    cursor: &'a Cursor<'a>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let source = self.reading.source;
        let number = self.cursor.next.replace(self.cursor.next.get() + 1);
        let place = self.cursor.inside.map_or_else(|| Place::value(source, number), Place::clone);
        if self.depth > MAX_DEPTH {
            let problem = Problem::new("too-deep", &place, format!("nested deeper than {MAX_DEPTH} levels"));
            return Err(self.reading.reject(problem));
        }
        let target = if self.reading.has_aliases { source.marks().stands_for(number) } else { None };
        let inside = Cursor { next: Cell::new(target.unwrap_or(number) + 1), inside: Some(&place) };
        let cursor = if target.is_some() { &inside } else { self.cursor };
        let below = NodeSeed { cursor, depth: self.depth + 1, ..self };
        let (value, replace) = deserializer.deserialize_any(NodeVisitor { below, place: &place, tagged: false })?;
        let is_spelled = cursor.inside.is_some() && matches!(value, Value::Number(_) | Value::Bool(_));
        let written = is_spelled.then(|| Place::value(source, target.unwrap_or(number)));
        let spelling = written.and_then(|written| written.text().map(Box::from));
        Ok(Node { value, place, replace, spelling })
    }
}

/// Reads the value at `place`, and whether it is tagged `!replace`.
#[derive(Clone, Copy)]
struct NodeVisitor<'a> {
    below: NodeSeed<'a>,
    place: &'a Place,
    tagged: bool,
}

impl NodeVisitor<'_> {
    fn plain(self, value: Value) -> (Value, bool) {
        (value, self.tagged)
    }

    fn number<E: Error>(self, number: f64) -> Result<(Value, bool), E> {
        if let Some(number) = serde_json::Number::from_f64(number) {
            return Ok(self.plain(Value::Number(number)));
        }
        let message = format!("{} is not a finite number", serde_yaml::Number::from(number));
        Err(self.below.reading.reject(Problem::new("bad-number", self.place, message)))
    }

    /// Replaces the YAML merge key `<<: *anchor` by those entries of the map, or maps, that `entries` does not have.
    fn with_merge_key<E: Error>(self, mut entries: Vec<Entry>) -> Result<Vec<Entry>, E> {
        let Some(position) = entries.iter().position(|entry| entry.key == MERGE_KEY) else { return Ok(entries) };
        let merged = entries.remove(position);
        let maps = if let Value::List(nodes) = &merged.node.value { nodes } else { std::slice::from_ref(&merged.node) };
        for map in maps {
            let Value::Map(added) = &map.value else {
                let message = format!("`{MERGE_KEY}`: expected a map or a list of maps, found {}", map.describe());
                let problem = Problem::new("wrong-type", &map.place, message);
                return Err(self.below.reading.reject(problem.help(format!("{MERGE_KEY}: *anchor"))));
            };
            let known: BTreeSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
            entries.extend(added.iter().filter(|entry| !known.contains(&entry.key)).cloned());
        }
        Ok(entries)
    }

    fn name<E: Error>(self, key: Node) -> Result<(String, Place), E> {
        match &key.value {
            Value::Text(_) | Value::Number(_) => Ok((key.plain_text().unwrap_or_default(), key.place)),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                let message = format!("expected a word as key, found {}", key.describe());
                Err(self.below.reading.reject(Problem::new("bad-key", &key.place, message)))
            }
        }
    }
}

impl<'de> Visitor<'de> for NodeVisitor<'_> {
    type Value = (Value, bool);

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.plain(Value::Bool(value)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(self.plain(Value::Number(number.into())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.plain(Value::Number(number.into())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        self.number(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.plain(Value::Text(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(self.plain(Value::Text(text)))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(self.plain(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(self.plain(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(self.below)? {
            nodes.push(node);
        }
        Ok(self.plain(Value::List(nodes)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(self.below)? {
            let (key, key_place) = self.name(key)?;
            let node = map.next_value_seed(self.below)?;
            entries.push(Entry { key, key_place, node });
        }
        match duplicate(&entries) {
            Some(key) => Err(A::Error::custom(format!("duplicate key `{key}`"))),
            None => Ok(self.plain(Value::Map(self.with_merge_key(entries)?))),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Self::Value, A::Error> {
        let (tag, value): (String, _) = tagged.variant()?;
        if tag.trim_start_matches('!') == "replace" {
            return value.newtype_variant_seed(Tagged(NodeVisitor { tagged: true, ..self }));
        }
        let problem = Problem::new("unknown-tag", self.place, format!("unknown tag `{tag}`"));
        Err(self.below.reading.reject(problem.help("the only tag is `!replace`")))
    }
}

/// Reads the value after a tag.
struct Tagged<'a>(NodeVisitor<'a>);

impl<'de> DeserializeSeed<'de> for Tagged<'_> {
    type Value = (Value, bool);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self.0)
    }
}

/// In maps with at most this many keys, comparing each pair is faster than sorting.
const MAX_COMPARED: usize = 8;

/// Returns a key that occurs twice.
fn duplicate(entries: &[Entry]) -> Option<&str> {
    if entries.len() <= MAX_COMPARED {
        let is_repeated = |(position, entry): &(usize, &Entry)| entries[..*position].iter().any(|e| e.key == entry.key);
        return entries.iter().enumerate().find(is_repeated).map(|(_, entry)| entry.key.as_str());
    }
    let mut keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    keys.sort_unstable();
    keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
