//! [`Place`]: where in which file something stands, kept with every value so that every problem can point at it.

use std::path::PathBuf;
use std::sync::Arc;

/// A text that values come from: a pipeline file, or a `--set` argument.
#[derive(Debug)]
pub struct SourceText {
    /// How it is named in messages.
    pub name: String,
    /// The file, where it is one; what it extends is found relative to it.
    pub path: Option<PathBuf>,
    /// Its content.
    pub text: String,
}

/// A range of bytes in a text.
#[derive(Debug, Clone)]
pub struct Place {
    /// The text.
    pub source: Arc<SourceText>,
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub length: usize,
}

impl Place {
    /// Returns the place of a whole text's start.
    pub fn start_of(source: &Arc<SourceText>) -> Self {
        Self { source: Arc::clone(source), offset: 0, length: 0 }
    }

    /// Returns whether both places begin at the same byte of the same text.
    pub fn is_at(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.offset == other.offset
    }

    /// Returns line and column, both from 1; columns count characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.offset).unwrap_or(&self.source.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}
