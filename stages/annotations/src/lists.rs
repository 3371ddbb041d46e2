//! [`ParsedLists`]: the rows of label lists in any format, and [`Sink`], which every parser writes to.

use crate::error::{AnnotationsError, LineError};
use pipe_schemas::tables::Split;
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

/// Maximum number of rows: more than any data set has, and few enough to fit into memory.
const MAX_ROWS: usize = 5_000_000;
/// Maximum number of line errors to keep; further ones are only counted.
const MAX_ERRORS: usize = 1_000;

/// The content of a list file.
#[derive(Debug, Clone)]
pub(crate) struct ListFile {
    /// The name that messages use.
    pub(crate) name: Rc<str>,
    pub(crate) bytes: Vec<u8>,
}

/// All lists of a data set.
#[derive(Debug, Default)]
pub(crate) struct ParsedLists {
    /// In the order of the files, training first.
    pub(crate) rows: Vec<Row>,
    /// The classes, if a file names them.
    pub(crate) classes: Option<ClassList>,
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// As listed: `Biking/v_Biking_g01_c04.avi`, or a name without folder and extension.
    pub(crate) path: String,
    /// Another name under which the video may be in the folder.
    pub(crate) alias: Option<String>,
    pub(crate) split: RowSplit,
    pub(crate) labels: Vec<Label>,
    /// Videos that were cut from one source have the same group. Empty if unknown.
    pub(crate) group: String,
    pub(crate) segment: Option<Segment>,
    pub(crate) location: Location,
}

/// The split of a row, as far as the list defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowSplit {
    Known(Split),
    /// Listed, but in no split.
    Unused,
    /// A subset such as `validation`; `split.rs` maps it to a split.
    Subset(Rc<str>),
    Unknown,
}

/// A class as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    Name(Rc<str>),
    Number(i64),
}

/// A time range of a video.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Segment {
    pub(crate) start_secs: f64,
    pub(crate) end_secs: f64,
}

/// A line of a list, or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// The name of the list that messages use, or the path of the folder.
    pub(crate) file: Rc<str>,
    /// From 1; 0 for a folder.
    pub(crate) line: u32,
}

/// The classes of a data set, by index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClassList {
    pub(crate) names: Vec<String>,
    /// The line that names each class; empty if no file does.
    pub(crate) locations: Vec<Location>,
    /// The number of the first class, if the file numbers them.
    pub(crate) first_number: Option<u32>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}/", self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

impl Row {
    /// Returns a row without alias, group and segment.
    pub(crate) fn new(path: impl Into<String>, split: RowSplit, labels: Vec<Label>, location: Location) -> Self {
        Self { path: path.into(), alias: None, split, labels, group: String::new(), segment: None, location }
    }
}

impl Segment {
    /// The help for an error of [`Segment::parse`].
    pub(crate) const HELP: &str = "write start and end in seconds, with the start before the end";

    /// Parses a start and an end in seconds.
    ///
    /// # Errors
    /// If they are not numbers, negative, or the end is not after the start.
    pub(crate) fn parse(start: &str, end: &str) -> Result<Self, String> {
        let secs = |text: &str| text.trim().parse::<f64>().ok().filter(|secs| secs.is_finite() && *secs >= 0.0);
        match (secs(start), secs(end)) {
            (Some(start_secs), Some(end_secs)) if start_secs < end_secs => Ok(Self { start_secs, end_secs }),
            _ => Err(format!("`{}` to `{}` is not a valid segment", shorten(start), shorten(end))),
        }
    }
}

impl ListFile {
    pub(crate) fn location(&self, line: u32) -> Location {
        Location { file: Rc::clone(&self.name), line }
    }

    /// Returns the part of the file name after its last dot.
    pub(crate) fn extension(&self) -> Option<&str> {
        self.name.rsplit_once('.').map(|(_, extension)| extension)
    }

    /// Returns the content without a byte order mark.
    pub(crate) fn text(&self) -> &[u8] {
        self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.bytes)
    }

    /// Returns the lines that are not blank, trimmed, with their numbers.
    pub(crate) fn lines<'a>(&'a self, sink: &mut Sink) -> Vec<(u32, &'a str)> {
        let mut lines = Vec::new();
        for (line, text) in (1..).zip(self.text().split(|byte| *byte == b'\n')) {
            match str::from_utf8(text) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => lines.push((line, text.trim())),
                Err(_) => sink.error(self.location(line), "the line is not valid UTF-8", "save the list as UTF-8"),
            }
        }
        lines
    }
}

/// Collects rows and line errors from parsers.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    rows: Vec<Row>,
    errors: Vec<LineError>,
    num_errors: u64,
    /// Each label once: a list has few labels and many lines.
    interned: BTreeSet<Rc<str>>,
}

impl Sink {
    pub(crate) fn push(&mut self, row: Row) {
        if self.rows.len() < MAX_ROWS {
            self.rows.push(row);
        } else if self.num_errors == 0 {
            self.error(row.location, format!("more than {MAX_ROWS} rows"), "split the data set");
        }
    }

    /// Returns a shared copy of `text`.
    pub(crate) fn intern(&mut self, text: &str) -> Rc<str> {
        if let Some(known) = self.interned.get(text) {
            return Rc::clone(known);
        }
        let text: Rc<str> = text.into();
        self.interned.insert(Rc::clone(&text));
        text
    }

    /// Adds a line error: the problem, and how to fix it.
    pub(crate) fn error(&mut self, location: Location, message: impl Into<String>, help: impl Into<String>) {
        self.num_errors += 1;
        if self.errors.len() < MAX_ERRORS {
            let (file, line) = (location.file.to_string(), location.line);
            self.errors.push(LineError { file, line, message: message.into(), help: help.into() });
        }
    }

    /// Returns all rows.
    ///
    /// # Errors
    /// All line errors, file by file.
    pub(crate) fn finish(self, classes: Option<ClassList>) -> Result<ParsedLists, AnnotationsError> {
        if self.num_errors == 0 {
            return Ok(ParsedLists { rows: self.rows, classes });
        }
        let mut files: Vec<String> = Vec::new();
        for error in &self.errors {
            if !files.contains(&error.file) {
                files.push(error.file.clone());
            }
        }
        let mut errors = self.errors;
        errors.sort_by_key(|error| (files.iter().position(|name| *name == error.file), error.line));
        Err(AnnotationsError::Lines { errors, count: self.num_errors })
    }
}

/// Returns the beginning of untrusted text, with control characters replaced, for a message.
pub(crate) fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut start: String = text.chars().take(MAX_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        start.push('…');
    }
    start
}

/// Returns the path without its extension. Only up to 5 letters or digits after the last dot count as an extension.
pub(crate) fn without_extension(path: &str) -> &str {
    const MAX_EXTENSION: usize = 5;
    match path.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty()
                && !stem.ends_with('/')
                && (1..=MAX_EXTENSION).contains(&extension.len())
                && extension.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            stem
        }
        _ => path,
    }
}

/// Returns the part of the path after the last `/`.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_alphanumeric_endings_are_extensions() {
        let cases = [
            ("A/v.avi", "A/v"),
            ("A/v", "A/v"),
            ("A.b/v", "A.b/v"),
            ("Mr._Bean_wave", "Mr._Bean_wave"),
            ("x.tar.webm", "x.tar"),
            (".avi", ".avi"),
            ("A/.avi", "A/.avi"),
        ];
        for (path, expect) in cases {
            assert_eq!(without_extension(path), expect);
        }
    }

    #[test]
    fn line_errors_are_kept_up_to_a_limit_and_counted() {
        let mut sink = Sink::default();
        let location = Location { file: "a.txt".into(), line: 1 };
        (0..MAX_ERRORS + 5).for_each(|_| sink.error(location.clone(), "wrong", "right"));
        let Err(AnnotationsError::Lines { errors, count }) = sink.finish(None) else { panic!("no errors") };
        assert_eq!((errors.len(), count), (MAX_ERRORS, MAX_ERRORS as u64 + 5));
    }
}
