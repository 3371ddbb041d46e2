//! [`Found`]: what a program wrote to an output, by what can be kept of it. The store holds files and the folders above them.

use crate::executor::Ended;
use fs_err as fs;
use pipe_schemas::Output;
use std::io;
use std::path::Path;

/// Number of names that a message shows.
const MAX_SHOWN: usize = 10;

/// What a program wrote to an output.
#[derive(Debug, Default)]
pub(super) struct Found {
    num_files: usize,
    /// Links, with what they point to, and other files without content of their own.
    links: Vec<String>,
    /// Folders without an entry.
    empty_folders: Vec<String>,
}

impl Found {
    /// Looks at the file or folder `path` below `output`.
    pub(super) fn in_output(output: &Path, path: &str) -> io::Result<Self> {
        let mut found = Self::default();
        match fs::symlink_metadata(output.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(metadata) => found.add(&output.join(path), path, metadata.file_type())?,
        }
        found.links.sort();
        found.empty_folders.sort();
        Ok(found)
    }

    fn add(&mut self, place: &Path, name: &str, kind: std::fs::FileType) -> io::Result<()> {
        if kind.is_file() {
            self.num_files += 1;
        } else if kind.is_symlink() {
            self.links.push(format!("{name} (a link to {})", fs::read_link(place)?.display()));
        } else if !kind.is_dir() {
            self.links.push(format!("{name} (neither a file nor a folder)"));
        } else {
            let mut is_empty = true;
            for entry in fs::read_dir(place)? {
                let entry = entry?;
                is_empty = false;
                let below = format!("{name}/{}", entry.file_name().to_string_lossy());
                self.add(&entry.path(), &below, entry.file_type()?)?;
            }
            if is_empty {
                self.empty_folders.push(name.to_owned());
            }
        }
        Ok(())
    }

    /// Returns why the output can't be kept.
    pub(super) fn failure(&self, port: &Output) -> Option<Ended> {
        let (name, path) = (&port.name, &port.path);
        let (error, help) = if !self.links.is_empty() {
            let noun = if self.links.len() == 1 { "a link or special file" } else { "links or special files" };
            let error = format!("the program wrote {noun} to its output `{name}`: {}", shown(&self.links));
            (
                error,
                "write a copy of the file, for example with `cp -rL`: a result is kept without what it points to"
                    .into(),
            )
        } else if self.num_files == 0 {
            let empty = if self.empty_folders.is_empty() { "" } else { ": there are only empty folders" };
            let help = format!("it must write to ${{outputs.{name}}}, which ends in {path}");
            (format!("the program did not write its output `{name}`{empty}"), help)
        } else {
            return None;
        };
        Some(Ended::Failed { error, causes: Vec::new(), last_lines: Vec::new(), help: Some(help), cancelled: false })
    }

    /// Returns what is not kept of an output that is kept.
    pub(super) fn warning(&self, port: &Output) -> Option<String> {
        let (folders, are) = match self.empty_folders.len() {
            0 => return None,
            1 => ("an empty folder", "is"),
            _ => ("empty folders", "are"),
        };
        let names = shown(&self.empty_folders);
        Some(format!("the output `{}` has {folders}, which {are} not kept: {names}", port.name))
    }
}

/// Returns the first names, and how many there are besides.
fn shown(names: &[String]) -> String {
    let more = names.len().saturating_sub(MAX_SHOWN);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    names.iter().take(MAX_SHOWN).cloned().collect::<Vec<_>>().join(", ") + &more
}
