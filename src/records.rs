//! Recorded runs: which there are, and which one an argument names.

use crate::error::CommandError;
use crate::render;
use pipe_engine::{Bookkeeping, RunRecord};
use std::path::Path;

/// Returns the recorded runs of a store, newest first.
pub(crate) fn all(root: &Path) -> Result<Vec<RunRecord>, CommandError> {
    let kept = Bookkeeping::to_read(root);
    let runs = pipe_engine::runs(&kept)?;
    render::warnings(&kept);
    Ok(runs)
}

/// Returns at most `limit` of the runs of a pipeline, or of all pipelines.
pub(crate) fn newest<'r>(
    runs: &'r [RunRecord],
    pipeline: Option<&'r str>,
    limit: usize,
) -> impl Iterator<Item = &'r RunRecord> {
    runs.iter().filter(move |run| pipeline.is_none_or(|name| run.summary.pipeline == name)).take(limit)
}

/// Returns the run with this id or unique prefix of an id; `latest` is the newest, `latest~1` the one before it.
pub(crate) fn find<'r>(runs: &'r [RunRecord], name: &str) -> Result<&'r RunRecord, CommandError> {
    let back: Option<usize> = match name.strip_prefix("latest") {
        Some("") => Some(0),
        Some(rest) => rest.strip_prefix('~').and_then(|back| back.parse().ok()),
        None => None,
    };
    if let Some(back) = back {
        let count = runs.len();
        return runs.get(back).ok_or_else(|| match count {
            0 => CommandError::failed("no run is recorded in this store"),
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
