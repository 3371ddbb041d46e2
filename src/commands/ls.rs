//! `pipe ls`.

mod view;

use super::Command;
use crate::args::ReportArgs;
use crate::context;
use crate::error::CommandError;
use crate::exit::Code;
use fs_err as fs;
use std::path::Path;

/// List the newest results of each pipeline and stage, and their files
#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// `PIPELINE` or `PIPELINE/STAGE`, whose files to list [default: list all stages that have a result]
    path: Option<String>,
    #[command(flatten)]
    report: ReportArgs,
}

impl Command for Ls {
    const NAME: &'static str = "ls";

    fn run(self) -> Result<Code, CommandError> {
        let out = context::store_root(&self.report.store)?.join("out");
        let start = self.path.as_ref().map_or(out.clone(), |path| out.join(path));
        if !start.exists() {
            let message = match &self.path {
                Some(path) => format!("`{path}` has no result; `pipe ls` lists all results"),
                None => "there are no results yet; `pipe run FILE` makes some".to_owned(),
            };
            return Err(CommandError::failed(message));
        }
        list(&out, &start, if self.path.is_some() { usize::MAX } else { 2 }, self.report.json())?;
        Ok(Code::Ok)
    }
}

/// Lists `folder`, with paths relative to `out`, and `depth` levels of folders.
fn list(out: &Path, folder: &Path, depth: usize, json: bool) -> Result<(), CommandError> {
    let mut entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries.iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
        let path = entry.path();
        let metadata = fs::metadata(&path);
        if depth > 1 && metadata.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            list(out, &path, depth - 1, json)?;
        } else {
            let file = metadata.ok().filter(std::fs::Metadata::is_file);
            view::file(path.strip_prefix(out).unwrap_or(&path), file, json);
        }
    }
    Ok(())
}
