//! [`ParsedLists`]: the rows of label lists in any format, and [`Sink`], which every parser writes to.

use crate::encoding;
use crate::error::{AnnotationsError, LineError};
use crate::labels::Number;
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
    /// In UTF-8, except for wrong lines.
    pub(crate) text: Vec<u8>,
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
    /// A name, also if it looks like a number: that of a folder, or a quoted `"1.5"`.
    Name(Rc<str>),
    /// A cell of a table; a number if all labels of the data set are, and otherwise a name.
    Cell(Rc<str>),
    Number(i64),
}

/// A time range of a video. A list may define it in frames; then these are frames until the video is known.
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
    /// The row of a JSON file, whose rows may all be in one line: `["key"]` or `[number]`, from 0.
    pub(crate) row: Option<Rc<str>>,
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

impl Label {
    /// Returns the label that a text is. In quotes, a number with a fraction is a name, such as `"1.5"`.
    pub(crate) fn of_text(text: &str, quoted: bool, sink: &mut Sink) -> Self {
        let shared = sink.intern(text);
        match Number::parse(text) {
            Some(Number::Fraction) if quoted => Self::Name(shared),
            Some(Number::Fraction | Number::Whole(_)) | None => Self::Cell(shared),
        }
    }

    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Name(text) | Self::Cell(text) => text.is_empty(),
            Self::Number(_) => false,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}/", self.file),
            line => write!(f, "{}:{line}{}", self.file, self.row.as_deref().unwrap_or_default()),
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
    pub(crate) const HELP: &str = "write start and end in seconds, such as 62.5, or as `00:01:02.5`";

    /// Parses a start and an end, in seconds or as `hours:minutes:seconds`. The end may be before the start, which a check reports.
    ///
    /// # Errors
    /// If they are not numbers, or negative.
    pub(crate) fn parse(start: &str, end: &str) -> Result<Self, String> {
        match (secs(start), secs(end)) {
            (Some(start_secs), Some(end_secs)) => Ok(Self { start_secs, end_secs }),
            _ => Err(format!("`{}` to `{}` is not a valid segment", shorten(start), shorten(end))),
        }
    }
}

/// Returns the seconds of `62.5`, `1:02.5` and `00:01:02.5`.
fn secs(text: &str) -> Option<f64> {
    let mut parts = text.trim().rsplitn(3, ':');
    let number = |part: &str| part.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let seconds = number(parts.next()?)?;
    let mut longer = [0.0; 2];
    for (part, longer) in parts.zip(&mut longer) {
        *longer = number(part)?;
    }
    Some(seconds + 60.0 * longer[0] + 3600.0 * longer[1])
}

impl ListFile {
    /// Returns the list with its text in UTF-8; see [`encoding::decode`].
    ///
    /// # Errors
    /// If the list is in another encoding.
    pub(crate) fn new(name: &str, bytes: Vec<u8>) -> Result<Self, AnnotationsError> {
        let text = encoding::decode(bytes);
        let text = text.map_err(|other| AnnotationsError::Encoding { list: name.into(), encoding: other.name })?;
        Ok(Self { name: name.into(), text })
    }

    pub(crate) fn location(&self, line: u32) -> Location {
        Location { file: Rc::clone(&self.name), line, row: None }
    }

    /// Returns the part of the file name after its last dot, in lower case.
    pub(crate) fn extension(&self) -> Option<String> {
        self.name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase())
    }

    /// Returns the delimiter that a first line `sep=;` defines, as Excel writes it.
    pub(crate) fn separator(&self) -> Option<&str> {
        let first = self.text.split(|byte| *byte == b'\n').next()?;
        separator(str::from_utf8(first).ok()?)
    }

    /// Returns the lines that are not blank, trimmed, with their numbers, and without a first line `sep=;`.
    pub(crate) fn lines<'a>(&'a self, sink: &mut Sink) -> Vec<(u32, &'a str)> {
        let mut lines = Vec::new();
        for (line, text) in (1..).zip(self.text.split(|byte| *byte == b'\n')) {
            // Files that were joined have byte order marks inside.
            match str::from_utf8(text).map(|text| text.trim_start_matches('\u{feff}').trim()) {
                Ok("") => {}
                Ok(text) if line == 1 && separator(text).is_some() => {}
                Ok(text) => lines.push((line, text)),
                Err(_) => {
                    let message = format!("the line is not valid UTF-8, likely {}", encoding::likely_encoding(text));
                    sink.error(self.location(line), message, "save the list as UTF-8");
                }
            }
        }
        lines
    }
}

fn separator(line: &str) -> Option<&str> {
    let line = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap_or(line);
    let delimiter = line.strip_prefix("sep=").or_else(|| line.strip_prefix("SEP="))?;
    (delimiter.chars().count() == 1).then_some(delimiter)
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
            self.errors.push(LineError::new(&location, message, help));
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
        let location = Location { file: "a.txt".into(), line: 1, row: None };
        (0..MAX_ERRORS + 5).for_each(|_| sink.error(location.clone(), "wrong", "right"));
        let Err(AnnotationsError::Lines { errors, count }) = sink.finish(None) else { panic!("no errors") };
        assert_eq!((errors.len(), count), (MAX_ERRORS, MAX_ERRORS as u64 + 5));
    }
}
