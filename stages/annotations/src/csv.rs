//! CSV: [`cells`] splits a line, [`CsvTable`] reads a file by the names of its columns.
//!
//! A field never contains a line break: labels and paths have none, and an unclosed quote must not swallow the rest of a list.

use crate::error::MAX_SHOWN;
use crate::lists::{ListFile, Location, Sink, shorten};

/// Delimiters to try, the most common first.
const DELIMITERS: [&str; 4] = [",", ";", "\t", "|"];

/// The help for an error of [`cells`].
pub(crate) const QUOTES_HELP: &str = "write a field that contains quotes as `\"like \"\"this\"\"\"`, on one line";

/// A CSV file with named columns.
pub(crate) struct CsvTable<'a> {
    lines: Vec<(u32, &'a str)>,
    delimiter: String,
    columns: Vec<String>,
}

impl<'a> CsvTable<'a> {
    /// Reads the names of the columns, from the header or as `1`, `2` and so on. If `delimiter` is `None`, takes the first one for
    /// which all `wanted` columns exist. Missing columns are an error of `sink`.
    pub(crate) fn open(
        file: &'a ListFile,
        wanted: &[&str],
        header: bool,
        delimiter: Option<&str>,
        sink: &mut Sink,
    ) -> Option<Self> {
        let mut lines = file.lines(sink);
        let Some(&(line, first)) = lines.first() else {
            sink.error(file.location(1), "the list is empty", "write one line per video");
            return None;
        };
        let columns = |delimiter: &str| -> Vec<String> {
            let fields = texts(cells(first, delimiter).unwrap_or_default());
            if header { fields } else { (1..=fields.len()).map(|number| number.to_string()).collect() }
        };
        let missing = |columns: &[String]| {
            wanted.iter().copied().filter(|name| !columns.iter().any(|column| column == name)).collect::<Vec<_>>()
        };
        let delimiter = delimiter.or(file.separator());
        let candidates = delimiter.map_or_else(|| DELIMITERS.to_vec(), |delimiter| vec![delimiter]);
        let Some(delimiter) = candidates.iter().find(|delimiter| missing(&columns(delimiter)).is_empty()) else {
            // The delimiter that splits the line into the most fields is the likeliest.
            let columns =
                candidates.iter().map(|delimiter| columns(delimiter)).rev().max_by_key(Vec::len).unwrap_or_default();
            let absent = missing(&columns).join("`, `");
            let known: Vec<String> = columns.iter().take(MAX_SHOWN).map(|name| shorten(name)).collect();
            let message = format!("column `{absent}` not found");
            sink.error(file.location(line), message, format!("the columns are `{}`", known.join("`, `")));
            return None;
        };
        let (delimiter, columns) = ((*delimiter).to_owned(), columns(delimiter));
        if header {
            lines.remove(0);
        }
        Some(Self { lines, delimiter, columns })
    }

    /// Calls `each` for every line. Lines with another number of fields than columns are errors.
    pub(crate) fn each(&self, file: &ListFile, sink: &mut Sink, mut each: impl FnMut(Record<'_>, Location, &mut Sink)) {
        for (line, text) in &self.lines {
            let location = file.location(*line);
            match cells(text, &self.delimiter) {
                Ok(cells) if cells.len() == self.columns.len() => {
                    each(Record { columns: &self.columns, cells: &cells }, location, sink);
                }
                Ok(cells) => {
                    let message = format!("{} fields, but the first line has {}", cells.len(), self.columns.len());
                    sink.error(location, message, format!("put fields that contain `{}` in quotes", self.delimiter));
                }
                Err(message) => sink.error(location, message, QUOTES_HELP),
            }
        }
    }
}

/// Returns the delimiter of a file with few columns: `defined`, or the first one that splits its first line.
pub(crate) fn delimiter<'a>(first: &str, defined: Option<&'a str>) -> &'a str {
    let splits = |delimiter: &&str| cells(first, delimiter).is_ok_and(|cells| cells.len() > 1);
    defined.or_else(|| DELIMITERS.into_iter().find(splits)).unwrap_or(DELIMITERS[0])
}

/// A field of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// Whether it is in quotes.
    pub(crate) quoted: bool,
}

/// A line of a [`CsvTable`].
pub(crate) struct Record<'a> {
    columns: &'a [String],
    cells: &'a [Cell],
}

impl Record<'_> {
    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        self.cell(column).map(|cell| cell.text.as_str())
    }

    pub(crate) fn cell(&self, column: &str) -> Option<&Cell> {
        let position = self.columns.iter().position(|name| name == column)?;
        self.cells.get(position)
    }
}

/// Returns the texts of cells.
pub(crate) fn texts(cells: Vec<Cell>) -> Vec<String> {
    cells.into_iter().map(|cell| cell.text).collect()
}

/// Splits a line into fields, and trims each that is not in quotes.
///
/// # Errors
/// If quotes are not balanced.
pub(crate) fn cells(line: &str, delimiter: &str) -> Result<Vec<Cell>, &'static str> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.trim_start_matches(' ');
        let (cell, after) = if let Some(quoted) = start.strip_prefix('"') {
            let (text, after) = unquote(quoted)?;
            (Cell { text, quoted: true }, after.trim_start_matches(' '))
        } else {
            let end = rest.find(delimiter).unwrap_or(rest.len());
            (Cell { text: rest[..end].trim().to_owned(), quoted: false }, &rest[end..])
        };
        cells.push(cell);
        match after.strip_prefix(delimiter) {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(cells),
            None => return Err("there is text after a closing quote"),
        }
    }
}

fn unquote(quoted: &str) -> Result<(String, &str), &'static str> {
    let (mut field, mut rest) = (String::new(), quoted);
    loop {
        let (before, after) = rest.split_once('"').ok_or("a quote is not closed")?;
        field.push_str(before);
        let Some(next) = after.strip_prefix('"') else { return Ok((field, after)) };
        field.push('"');
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quoted_fields_may_contain_delimiters() {
        let check = |line: &str, delimiter: &str, expect: Result<&[&str], &str>| {
            let found = cells(line, delimiter).map(texts);
            let found = found.as_ref().map(|fields| fields.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_ref().map(|fields| &fields[..]).map_err(|e| **e), expect, "{line}");
        };
        check("a,b , c", ",", Ok(&["a", "b", "c"]));
        check("FILE; ACTION CLASSES", ";", Ok(&["FILE", "ACTION CLASSES"]));
        check("\"a, \"\"b\"\"\" ,c", ",", Ok(&["a, \"b\"", "c"]));
        check("a,,", ",", Ok(&["a", "", ""]));
        check("a b\tc", "\t", Ok(&["a b", "c"]));
        check("a\"b,c", ",", Ok(&["a\"b", "c"]));
        check("\"a", ",", Err("a quote is not closed"));
        check("\"a\"b,c", ",", Err("there is text after a closing quote"));
    }

    proptest! {
        #[test]
        fn quoted_fields_round_trip(fields in proptest::collection::vec("[^\n]{0,8}", 1..6)) {
            let quoted: Vec<String> = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            let cells = fields.into_iter().map(|text| Cell { text, quoted: true }).collect();
            prop_assert_eq!(super::cells(&quoted.join(","), ","), Ok(cells));
        }
    }
}
