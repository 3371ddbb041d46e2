//! [`read`]: deserializes YAML directly into [`Node`]s, without the value type of `serde_yaml` in between.

use super::bounds::MAX_DEPTH;
use super::{Entry, Node, Value};
use crate::diagnostics::Problem;
use crate::place::{Place, SourceText};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

/// Why a text can't be read.
pub(super) enum Failure {
    /// Valid YAML that a pipeline file may not contain.
    Problem(Problem),
    Yaml(serde_yaml::Error),
}

/// Reads a text with one document.
pub(super) fn read(source: &Arc<SourceText>, has_aliases: bool) -> Result<Node, Failure> {
    let reading = Reading { source, has_aliases, num_begun: Cell::new(0), problem: RefCell::new(None) };
    let node = NodeSeed { reading: &reading, inside: None, depth: 0 };
    let node = node.deserialize(serde_yaml::Deserializer::from_str(&source.text));
    node.map_err(|error| reading.problem.take().map_or(Failure::Yaml(error), Failure::Problem))
}

struct Reading<'a> {
    source: &'a Arc<SourceText>,
    has_aliases: bool,
    /// Number of values and keys read so far.
    num_begun: Cell<usize>,
    /// The problem to report instead of the error that ended the reading.
    problem: RefCell<Option<Problem>>,
}

impl Reading<'_> {
    /// Returns the place of the next value of the text, and whether it is an alias.
    fn begin(&self) -> (Place, bool) {
        let number = self.num_begun.replace(self.num_begun.get() + 1);
        (Place::value(self.source, number), self.has_aliases && self.source.marks().is_alias(number))
    }

    fn reject<E: Error>(&self, problem: Problem) -> E {
        *self.problem.borrow_mut() = Some(problem);
        E::custom("rejected")
    }
}

/// Reads one value. Values inside an alias have the place of the alias.
#[derive(Clone, Copy)]
struct NodeSeed<'a> {
    reading: &'a Reading<'a>,
    inside: Option<&'a Place>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let (place, is_alias) = match self.inside {
            Some(place) => (place.clone(), true),
            None => self.reading.begin(),
        };
        if self.depth > MAX_DEPTH {
            let problem = Problem::new("too-deep", &place, format!("nested deeper than {MAX_DEPTH} levels"));
            return Err(self.reading.reject(problem));
        }
        let below = NodeSeed { inside: is_alias.then_some(&place), depth: self.depth + 1, ..self };
        let (value, replace) = deserializer.deserialize_any(NodeVisitor { below, place: &place, tagged: false })?;
        Ok(Node { value, place, replace })
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

    fn name<E: Error>(self, key: Node) -> Result<(String, Place), E> {
        match key.value {
            Value::Text(text) => Ok((text, key.place)),
            Value::Number(number) => Ok((number.to_string(), key.place)),
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
            None => Ok(self.plain(Value::Map(entries))),
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
