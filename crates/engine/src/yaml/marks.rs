//! [`Marks`]: the positions of the values of a YAML text, and mistakes that `serde_yaml` does not find or describe well.

use super::bounds::{MAX_DEPTH, MAX_WEIGHT, NODE_BYTES};
use saphyr_parser::{Event, Parser, Span};
use std::collections::{BTreeSet, HashMap};

/// Texts with longer lines are checked for deep nesting before they are parsed.
const LONG_LINE_BYTES: usize = 4096;

/// Positions of the values and keys of a text, in the order in which they begin.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    marks: Vec<Mark>,
    /// The first mistake in the text; there are no marks after it.
    mistake: Option<Mistake>,
}

#[derive(Debug)]
struct Mark {
    offset: usize,
    length: usize,
    /// For an alias, the number of the value that it stands for.
    stands_for: Option<usize>,
}

/// A mistake that makes a text unusable as YAML.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) offset: usize,
    pub(crate) length: usize,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
}

/// Returns whether a text may be nested so deeply that a parser without bounds takes minutes.
pub(crate) fn may_nest_deeply(text: &str) -> bool {
    let mut depth = 0usize;
    let deep = text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    });
    deep || text.lines().any(|line| line.len() > LONG_LINE_BYTES)
}

impl Marks {
    /// Reads a text up to its end or its first mistake.
    pub(crate) fn read(text: &str) -> Self {
        let mut marks = Self::default();
        marks.mistake = marks.read_events(text).err();
        marks
    }

    /// Returns the first mistake in the text.
    pub(crate) fn mistake(&self) -> Option<&Mistake> {
        self.mistake.as_ref()
    }

    /// Returns offset and length in bytes of a value, by its number.
    pub(crate) fn range(&self, number: usize) -> (usize, usize) {
        self.marks.get(number).map_or((0, 0), |mark| (mark.offset, mark.length))
    }

    /// Returns the number of the value that an alias stands for; `None` if the value is not an alias.
    pub(crate) fn stands_for(&self, number: usize) -> Option<usize> {
        self.marks.get(number).and_then(|mark| mark.stands_for)
    }

    fn read_events(&mut self, text: &str) -> Result<(), Mistake> {
        let offsets = ByteOffsets::new(text);
        let (mut depth, mut documents, mut keys, mut weights) = (0usize, 0, Keys::default(), Weights::default());
        let mut anchors: HashMap<usize, usize> = HashMap::new();
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                let offset = offsets.of(error.marker().index());
                Mistake { offset, length: 0, code: "syntax", message: error.info().to_owned(), help: None }
            })?;
            let (offset, length) = offsets.range(span);
            let mistake = |code, message, help| Err(Mistake { offset, length, code, message, help });
            if let Some(key) = keys.duplicate(&event) {
                return mistake("duplicate-key", format!("duplicate key `{key}`"), Some("remove one of the two"));
            }
            match event {
                Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
                Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
                Event::DocumentStart(_) => documents += 1,
                _ => {}
            }
            if documents > 1 {
                return mistake(
                    "syntax",
                    "a second document in one file".into(),
                    Some("write each pipeline to a file of its own"),
                );
            }
            if depth > MAX_DEPTH {
                return mistake("too-deep", format!("nested deeper than {MAX_DEPTH} levels"), None);
            }
            if weights.add(&event) > MAX_WEIGHT {
                return mistake("too-large", "the aliases expand to too many values".into(), None);
            }
            if begins_value(&event) {
                let stands_for = if let Event::Alias(anchor) = event { anchors.get(&anchor).copied() } else { None };
                anchors.extend(anchor(&event).map(|anchor| (anchor, self.marks.len())));
                self.marks.push(Mark { offset, length, stands_for });
            }
        }
        Ok(())
    }
}

fn begins_value(event: &Event) -> bool {
    matches!(event, Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..))
}

/// Returns the number of the anchor that a value has.
fn anchor(event: &Event) -> Option<usize> {
    match event {
        Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
            (*anchor > 0).then_some(*anchor)
        }
        _ => None,
    }
}

/// The keys of the open maps, to find duplicates; `serde_yaml` would only name the map.
#[derive(Default)]
struct Keys(Vec<OpenCollection>);

struct OpenCollection {
    /// `None` for a list.
    keys: Option<BTreeSet<String>>,
    /// Number of values and keys so far: if it is even, the next one in a map is a key.
    num_seen: usize,
}

impl Keys {
    fn duplicate(&mut self, event: &Event) -> Option<String> {
        let mut duplicate = None;
        if begins_value(event)
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

/// Memory of the values once aliases are expanded.
#[derive(Default)]
struct Weights {
    total: usize,
    /// The anchors of the open collections (0: none), and the total when each began.
    open: Vec<(usize, usize)>,
    by_anchor: HashMap<usize, usize>,
}

impl Weights {
    /// Returns the total so far.
    fn add(&mut self, event: &Event) -> usize {
        let before = self.total;
        let weight = match event {
            Event::Scalar(text, ..) => NODE_BYTES + text.len(),
            Event::Alias(anchor) => self.by_anchor.get(anchor).copied().unwrap_or(NODE_BYTES),
            Event::SequenceStart(..) | Event::MappingStart(..) => NODE_BYTES,
            _ => 0,
        };
        self.total = self.total.saturating_add(weight);
        match event {
            Event::Scalar(_, _, anchor, _) => drop(self.by_anchor.insert(*anchor, weight)),
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => self.open.push((*anchor, before)),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((anchor, since)) = self.open.pop() {
                    self.by_anchor.insert(anchor, self.total - since);
                }
            }
            _ => {}
        }
        self.total
    }
}

/// Maps character positions to byte offsets.
struct ByteOffsets(Vec<usize>, usize);

impl ByteOffsets {
    fn new(text: &str) -> Self {
        let ascii = text.is_ascii();
        Self(if ascii { Vec::new() } else { text.char_indices().map(|(offset, _)| offset).collect() }, text.len())
    }

    fn of(&self, character: usize) -> usize {
        if self.0.is_empty() { character.min(self.1) } else { self.0.get(character).copied().unwrap_or(self.1) }
    }

    fn range(&self, span: Span) -> (usize, usize) {
        let (start, end) = (self.of(span.start.index()), self.of(span.end.index()));
        (start, end.saturating_sub(start))
    }
}
