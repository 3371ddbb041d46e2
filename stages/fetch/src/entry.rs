//! [`Entry`]: an entry of an archive, as the readers of all formats return it.

use std::io::Read;

/// An entry of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: EntryKind,
}

/// The type of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Folder,
    /// A link, a device or the like; the text names it.
    Special(&'static str),
    /// A feature that is not supported; the text follows the name of the entry.
    Unsupported(&'static str),
}

/// Receives each entry and its content.
pub(crate) type Visitor<'v> = dyn FnMut(Entry, &mut dyn Read) -> Result<(), pipe_stage::StageError> + 'v;
