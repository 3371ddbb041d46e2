//! Reads the rows of a JSON file with their line numbers: [`rows`].
//!
//! The file is read row by row: the list of a million videos is never in memory as a tree.

use crate::lists::{ListFile, Location, shorten};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::cell::Cell;
use std::fmt;
use std::io::Read;

/// An item of a list, or an entry of a map.
pub(crate) struct JsonRow {
    /// The key of an entry of a map.
    pub(crate) key: Option<String>,
    pub(crate) value: Value,
    /// The line in which the row begins, from 1.
    pub(crate) line: u32,
    /// Position in the list or map, from 0.
    pub(crate) position: u64,
}

impl JsonRow {
    /// Returns where the row is.
    pub(crate) fn location(&self, file: &ListFile) -> Location {
        let row = match &self.key {
            Some(key) => format!("[\"{}\"]", shorten(key)),
            None => format!("[{}]", self.position),
        };
        Location { row: Some(row.into()), ..file.location(self.line) }
    }
}

/// Calls `each` for every item of a list or entry of a map. If the map has the key `inside`, uses the list or map under that key
/// instead.
///
/// # Errors
/// If the file is not valid JSON: the line, and the reason.
pub(crate) fn rows(file: &ListFile, inside: Option<&str>, mut each: impl FnMut(JsonRow)) -> Result<(), (u32, String)> {
    if inside.is_some() && read(file, inside, &mut each)? {
        return Ok(());
    }
    read(file, None, &mut each).map(drop)
}

/// Returns whether `check` is true for every row, and there is at least one.
pub(crate) fn all_rows(file: &ListFile, inside: Option<&str>, check: impl Fn(&Value) -> bool) -> bool {
    let (mut count, mut all) = (0_u64, true);
    let read = rows(file, inside, |row| {
        count += 1;
        all &= check(&row.value);
    });
    read.is_ok() && all && count > 0
}

/// Returns whether the key `inside` was found.
fn read(file: &ListFile, inside: Option<&str>, each: &mut impl FnMut(JsonRow)) -> Result<bool, (u32, String)> {
    let line = Cell::new(1);
    let reader = CountingReader { bytes: &file.text, line: &line };
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let found = Rows { line: &line, inside, each }.deserialize(&mut deserializer);
    found
        .and_then(|found| deserializer.end().map(|()| found))
        .map_err(|error| ((error.line() as u32).max(1), message(&error)))
}

/// Returns the message of a JSON error without the position.
pub(crate) fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}

/// Returns one byte at a time, so that `line` is the line of the byte that the parser reads.
struct CountingReader<'a> {
    bytes: &'a [u8],
    line: &'a Cell<u32>,
}

impl Read for CountingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (Some((first, rest)), Some(place)) = (self.bytes.split_first(), buffer.first_mut()) else { return Ok(0) };
        *place = *first;
        self.bytes = rest;
        if *first == b'\n' {
            self.line.set(self.line.get() + 1);
        }
        Ok(1)
    }
}

struct Rows<'a, F> {
    line: &'a Cell<u32>,
    inside: Option<&'a str>,
    each: &'a mut F,
}

impl<'de, F: FnMut(JsonRow)> DeserializeSeed<'de> for Rows<'_, F> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(JsonRow)> Visitor<'de> for Rows<'_, F> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list or a map")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        if self.inside.is_some() {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(false);
        }
        let mut position = 0;
        while let Some((value, line)) = items.next_element_seed(Placed { line: self.line })? {
            (self.each)(JsonRow { key: None, value, line, position });
            position += 1;
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let mut found = self.inside.is_none();
        let mut position = 0;
        while let Some((key, line)) = entries.next_key_seed(Placed { line: self.line })? {
            let Value::String(key) = key else { return Err(A::Error::custom("key must be a string")) };
            if self.inside.is_none() {
                (self.each)(JsonRow { key: Some(key), value: entries.next_value()?, line, position });
                position += 1;
            } else if self.inside == Some(&key) && !found {
                found = entries.next_value_seed(Rows { line: self.line, inside: None, each: &mut *self.each })?;
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A value and the line in which it begins.
struct Placed<'a> {
    line: &'a Cell<u32>,
}

impl<'de> DeserializeSeed<'de> for Placed<'_> {
    type Value = (Value, u32);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(Value, u32), D::Error> {
        // The parser has read the first byte of the value, and no further.
        let line = self.line.get();
        Ok((serde::Deserialize::deserialize(deserializer)?, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, inside: Option<&str>) -> Result<Vec<String>, (u32, String)> {
        let file = ListFile::new("a.json", text.into()).expect("UTF-8");
        let mut found = Vec::new();
        let each = |row: JsonRow| found.push(format!("{}:{}={}", row.line, row.key.unwrap_or_default(), row.value));
        rows(&file, inside, each).map(|()| found)
    }

    #[test]
    fn rows_have_line_numbers() {
        let check = |text: &str, inside, expect: &[&str]| {
            assert_eq!(read(text, inside).expect("rows"), expect, "{text}");
        };
        check("[1,\n\n {\"a\":\n 2}, 3\n]", None, &["1:=1", "3:={\"a\":2}", "4:=3"]);
        check("{\"a\":1,\r\n\"b\"\n:[2]}\n", None, &["1:a=1", "2:b=[2]"]);
        check("{\"version\":{},\n\"db\":{\n\"a\":1}}", Some("db"), &["3:a=1"]);
        check("{\"a\":1}", Some("db"), &["1:a=1"]);
        check("[1]", Some("db"), &["1:=1"]);
        check("[]", None, &[]);
    }

    #[test]
    fn invalid_json_is_an_error_with_its_line() {
        let check = |text: &str, line: u32, expect: &str| {
            assert_eq!(read(text, Some("db")), Err((line, expect.to_owned())), "{text}");
        };
        check("", 1, "EOF while parsing a value");
        check("[1,\n2", 2, "EOF while parsing a list");
        check("[1]\n[2]", 2, "trailing characters");
        check("3", 1, "invalid type: integer `3`, expected a list or a map");
        // Deep nesting exhausts neither the stack nor the memory.
        let deep = read(&"[".repeat(100_000), None);
        assert!(deep == Err((1, "recursion limit exceeded".to_owned())));
    }
}
