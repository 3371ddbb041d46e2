//! [`Listed`]: what lists say, in whatever format, and [`Sink`], which every parser writes it to.

use crate::error::{AnnotationsError, Problem};
use pipe_schemas::tables::Split;
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

/// More rows than any data set has, and no more than fit into memory.
const MAX_ROWS: usize = 5_000_000;
/// More wrong lines than anybody reads; the others are counted.
const MAX_PROBLEMS: usize = 1_000;

/// A list file as read.
#[derive(Debug, Clone)]
pub(crate) struct ListFile {
    /// By which messages name it.
    pub(crate) name: Rc<str>,
    pub(crate) bytes: Vec<u8>,
}

/// What all lists of a data set say.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// In the order of the files, training first.
    pub(crate) rows: Vec<Row>,
    /// The classes, where a file names them.
    pub(crate) classes: Option<ClassList>,
}

/// A line of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// As listed: `Biking/v_Biking_g01_c04.avi`, or a name without folder and extension.
    pub(crate) path: String,
    /// Another name that the video may have.
    pub(crate) alias: Option<String>,
    pub(crate) part: Part,
    pub(crate) labels: Vec<Label>,
    /// Videos of the same source have the same group. Empty if not known.
    pub(crate) group: String,
    pub(crate) segment: Option<Segment>,
    pub(crate) place: Place,
}

/// What a row is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// To learn from, or to measure on.
    Of(Split),
    /// Listed, but not to be used.
    Unused,
    /// The list has a word for it; see `split.rs`.
    Subset(Rc<str>),
    /// The list does not say it.
    Unsaid,
}

/// A class as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    Name(Rc<str>),
    Number(i64),
}

/// A part of a video.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Segment {
    pub(crate) start_secs: f64,
    pub(crate) end_secs: f64,
}

/// Where something is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The list, by which messages name it.
    pub(crate) file: Rc<str>,
    /// From 1; 0 where it is a folder.
    pub(crate) line: u32,
}

/// The classes of a data set, by index.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassList {
    pub(crate) names: Vec<String>,
    /// Where each is named.
    pub(crate) places: Vec<Place>,
    /// The number of the first, if they are numbered.
    pub(crate) first_number: Option<u32>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}/", self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

impl Row {
    /// Returns a row that says no more than this.
    pub(crate) fn new(path: impl Into<String>, part: Part, labels: Vec<Label>, place: Place) -> Self {
        Self { path: path.into(), alias: None, part, labels, group: String::new(), segment: None, place }
    }
}

impl ListFile {
    pub(crate) fn place(&self, line: u32) -> Place {
        Place { file: Rc::clone(&self.name), line }
    }

    /// Returns the bytes without a byte order mark.
    pub(crate) fn text(&self) -> &[u8] {
        self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.bytes)
    }

    /// Returns the lines that are not blank, with their numbers, without white space around them.
    pub(crate) fn lines<'a>(&'a self, sink: &mut Sink) -> Vec<(u32, &'a str)> {
        let mut lines = Vec::new();
        for (line, text) in (1..).zip(self.text().split(|byte| *byte == b'\n')) {
            match str::from_utf8(text) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => lines.push((line, text.trim())),
                Err(_) => sink.problem(self.place(line), "the line is no text", "write the list in UTF-8"),
            }
        }
        lines
    }
}

/// What parsers write to: rows, and what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    rows: Vec<Row>,
    problems: Vec<Problem>,
    num_problems: u64,
    /// Each word once: a list has few labels and many lines.
    words: BTreeSet<Rc<str>>,
}

impl Sink {
    pub(crate) fn row(&mut self, row: Row) {
        if self.rows.len() < MAX_ROWS {
            self.rows.push(row);
        } else if self.num_problems == 0 {
            self.problem(row.place, format!("this is row {}", MAX_ROWS + 1), "split the data set");
        }
    }

    /// Returns `word`, with equal words in one place.
    pub(crate) fn word(&mut self, word: &str) -> Rc<str> {
        if let Some(known) = self.words.get(word) {
            return Rc::clone(known);
        }
        let word: Rc<str> = word.into();
        self.words.insert(Rc::clone(&word));
        word
    }

    /// Tells what is wrong and what would be right.
    pub(crate) fn problem(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.num_problems += 1;
        if self.problems.len() < MAX_PROBLEMS {
            let (file, line) = (place.file.to_string(), place.line);
            self.problems.push(Problem { file, line, message: message.into(), help: help.into() });
        }
    }

    /// Returns what was found.
    ///
    /// # Errors
    /// Every wrong line, file by file.
    pub(crate) fn finish(self, classes: Option<ClassList>) -> Result<Listed, AnnotationsError> {
        if self.num_problems == 0 {
            return Ok(Listed { rows: self.rows, classes });
        }
        let mut files: Vec<String> = Vec::new();
        for problem in &self.problems {
            if !files.contains(&problem.file) {
                files.push(problem.file.clone());
            }
        }
        let mut problems = self.problems;
        problems.sort_by_key(|problem| (files.iter().position(|name| *name == problem.file), problem.line));
        Err(AnnotationsError::Lists { problems, count: self.num_problems })
    }
}

/// Returns the start of a text that may be anything.
pub(crate) fn short(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut start: String = text.chars().take(MAX_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        start.push('…');
    }
    start
}

/// Returns the path without its extension, if it has what looks like one.
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

/// Returns what stands after the last `/`.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_look_like_extensions() {
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
    fn wrong_lines_are_kept_up_to_a_limit_and_counted() {
        let mut sink = Sink::default();
        let place = Place { file: "a.txt".into(), line: 1 };
        (0..MAX_PROBLEMS + 5).for_each(|_| sink.problem(place.clone(), "wrong", "right"));
        let Err(AnnotationsError::Lists { problems, count }) = sink.finish(None) else { panic!("no problems") };
        assert_eq!((problems.len(), count), (MAX_PROBLEMS, MAX_PROBLEMS as u64 + 5));
    }
}
