//! Recorded runs: which there are, and which one an argument names.

use crate::error::CommandError;
use crate::render;
use pipe_engine::{Bookkeeping, RunRecord, nearest};
use std::collections::BTreeSet;
use std::path::Path;

/// Returns the recorded runs of a store, newest first.
pub(crate) fn all(root: &Path) -> Result<Vec<RunRecord>, CommandError> {
    let kept = Bookkeeping::to_read(root);
    let runs = pipe_engine::runs(&kept)?;
    render::warnings(&kept);
    Ok(runs)
}

/// Returns why there is nothing to show.
pub(crate) fn none(root: &Path) -> String {
    if root.is_dir() {
        format!("no run is recorded in the store `{}`; `pipe run FILE` makes one", root.display())
    } else {
        format!("there is no store `{}` yet; `pipe run FILE` makes one, `--store DIR` names another", root.display())
    }
}

/// Returns at most `limit` of the runs of a pipeline, or of all pipelines. A pipeline without a run is an error.
pub(crate) fn newest<'r>(
    runs: &'r [RunRecord],
    pipeline: Option<&str>,
    limit: usize,
) -> Result<Vec<&'r RunRecord>, CommandError> {
    let of_pipeline = |run: &&RunRecord| pipeline.is_none_or(|name| run.summary.pipeline == name);
    let mut found = runs.iter().filter(of_pipeline).peekable();
    if let (Some(name), None) = (pipeline, found.peek()) {
        let known: BTreeSet<&str> = runs.iter().map(|run| run.summary.pipeline.as_str()).collect();
        return Err(unknown(
            &format!("no run of a pipeline `{name}` is recorded"),
            name,
            &known,
            "`pipe runs` lists all runs",
        ));
    }
    Ok(found.take(limit).collect())
}

/// Returns the error of a name that is not in `known`: with the most similar name, or with `help`.
pub(crate) fn unknown(problem: &str, name: &str, known: &BTreeSet<&str>, help: &str) -> CommandError {
    let meant = nearest(name, known.iter().copied());
    let hint = meant.map_or(help.to_owned(), |known| format!("did you mean `{known}`?"));
    CommandError::failed(format!("{problem}; {hint}"))
}

/// Returns the run with this id or unique prefix of an id; `latest` is the newest, `latest~1` the one before it.
pub(crate) fn find<'r>(runs: &'r [RunRecord], name: &str, root: &Path) -> Result<&'r RunRecord, CommandError> {
    if runs.is_empty() {
        return Err(CommandError::failed(none(root)));
    }
    let back: Option<usize> = match name.strip_prefix("latest") {
        Some("") => Some(0),
        Some(rest) => rest.strip_prefix('~').and_then(|back| back.parse().ok()),
        None => None,
    };
    if let Some(back) = back {
        let count = runs.len();
        return runs.get(back).ok_or_else(|| match count {
            1 => CommandError::failed(format!("`{name}` does not exist: the store records only 1 run")),
            _ => CommandError::failed(format!("`{name}` does not exist: the store records only {count} runs")),
        });
    }
    let found: Vec<&RunRecord> = runs.iter().filter(|run| run.summary.run.starts_with(name)).collect();
    match found.as_slice() {
        [run] => Ok(run),
        [] => {
            let message = format!("no run has the id `{name}`; `pipe runs` lists the ids, `latest` is the newest run");
            Err(CommandError::failed(message))
        }
        many => {
            let message = format!("`{name}` is ambiguous: the ids of {} runs start with it", many.len());
            Err(CommandError::failed(message))
        }
    }
}
