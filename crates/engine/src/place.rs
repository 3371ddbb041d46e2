//! [`Place`]: a position in a source text. Every value of a pipeline keeps its place, so that a problem can point at it.

use crate::yaml::bounds::MAX_FILE_BYTES;
use crate::yaml::marks::Marks;
use fs_err as fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A text that holds values: a pipeline file, or a `--set` argument.
#[derive(Debug)]
pub struct SourceText {
    /// The name of the text in messages.
    pub name: String,
    /// The path, if the text is a file; `extends` is relative to it.
    pub path: Option<PathBuf>,
    /// The whole text.
    pub text: String,
    marks: OnceLock<Marks>,
}

/// A range of bytes in a source text.
#[derive(Debug, Clone)]
pub struct Place {
    /// The text that the range is in.
    pub source: Arc<SourceText>,
    at: At,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// Offset and length in bytes.
    Bytes(usize, usize),
    /// The number of a value or key, in the order in which they begin. The range is looked up when a problem needs it.
    Value(usize),
}

impl SourceText {
    /// Creates a text that is called `name` in messages.
    pub fn new(name: impl Into<String>, path: Option<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), path, text: text.into(), marks: OnceLock::new() })
    }

    /// Reads a file, up to a little more than the maximum size of a pipeline file: `path` may name an endless file such as
    /// `/dev/zero`.
    pub(crate) fn read(path: &Path) -> io::Result<Arc<Self>> {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        let text = decode(bytes).map_err(|what| {
            let message = format!("{} {what}; save it as UTF-8", path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        Ok(Self::new(path.display().to_string(), Some(path.to_owned()), text))
    }

    /// Returns the positions of all values, which are read on the first call.
    pub(crate) fn marks(&self) -> &Marks {
        self.marks.get_or_init(|| Marks::read(&self.text))
    }
}

/// Returns a text without its byte-order mark, which some editors write, or what is wrong with its encoding.
fn decode(bytes: Vec<u8>) -> Result<String, &'static str> {
    match bytes.as_slice() {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err("is UTF-16"),
        _ => {
            let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
            Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
        }
    }
}

impl Place {
    /// Returns the place at the start of a text.
    pub fn start_of(source: &Arc<SourceText>) -> Self {
        Self::bytes(source, 0, 0)
    }

    pub(crate) fn bytes(source: &Arc<SourceText>, offset: usize, length: usize) -> Self {
        Self { source: Arc::clone(source), at: At::Bytes(offset, length) }
    }

    pub(crate) fn value(source: &Arc<SourceText>, number: usize) -> Self {
        Self { source: Arc::clone(source), at: At::Value(number) }
    }

    /// Returns offset and length in bytes. A value of several lines is cut at the end of its first line.
    pub fn range(&self) -> (usize, usize) {
        let (offset, length) = match self.at {
            At::Bytes(offset, length) => return (offset, length),
            At::Value(number) => self.source.marks().range(number),
        };
        let text = self.source.text.get(offset..offset + length).unwrap_or_default();
        (offset, text.lines().next().map_or(0, |line| line.trim_end().len()))
    }

    /// Returns the text of a value in one line, without its anchor.
    pub(crate) fn text(&self) -> Option<&str> {
        let At::Value(_) = self.at else { return None };
        let (offset, length) = self.range();
        let text = self.source.text.get(offset..offset + length)?;
        let after_anchor = || text.split_once(char::is_whitespace).map_or("", |(_, after)| after.trim_start());
        let text = if text.starts_with('&') { after_anchor() } else { text };
        Some(text).filter(|text| !text.is_empty())
    }

    /// Returns whether both places start at the same byte of the same text.
    pub fn is_at(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.range().0 == other.range().0
    }

    /// Returns the length in bytes of the line at the start of the place.
    pub fn line_length(&self) -> usize {
        let (before, after) = self.source.text.split_at_checked(self.range().0).unwrap_or_default();
        let end = after.find('\n').unwrap_or(after.len());
        before.len() - before.rfind('\n').map_or(0, |newline| newline + 1) + end
    }

    /// Returns line and column of the start, both from 1; columns count characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.range().0).unwrap_or(&self.source.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}
