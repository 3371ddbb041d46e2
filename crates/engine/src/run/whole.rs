//! Runs an action in one go: a stage without parts in a worker, or a program of the user.

use super::job::{ActionError, ActionOutput, Job};
use crate::executor::{Ended, Session};
use fs_err as fs;
use pipe_cache::Tree;
use pipe_schemas::Output;
use pipe_stage::Summary;
use pipe_stage::protocol::Task;
use std::collections::BTreeMap;

/// Runs a stage without parts.
pub(super) fn stage(job: &Job, session: &mut dyn Session) -> Result<ActionOutput, ActionError> {
    let request = job.request(Task::Whole)?;
    let output = request.output.clone();
    let mut report = |update| {
        job.report(update);
        Ok(())
    };
    match session.run(request, &job.log, &mut report)? {
        Ended::Finished { summary, warnings, peak_memory_bytes } => {
            Ok(output_of(job, job.store.insert(&output)?, summary, warnings, peak_memory_bytes))
        }
        other => Err(ActionError::Ended(other)),
    }
}

/// Runs a program of the user. Only its declared outputs are kept.
pub(super) fn command(job: &Job, session: &mut dyn Session) -> Result<ActionOutput, ActionError> {
    let request = job.request(Task::Whole)?;
    let output = request.output.clone();
    let ended = session.run(request, &job.log, &mut |_| Ok(()))?;
    let Ended::Finished { summary, warnings, peak_memory_bytes } = ended else {
        return Err(ActionError::Ended(ended));
    };
    for port in &job.outputs {
        let path = output.join(&port.path);
        let metadata = fs::symlink_metadata(&path).map_err(|_| ActionError::Ended(not_written(port)))?;
        if metadata.is_dir() && fs::read_dir(&path)?.next().is_none() {
            return Err(ActionError::Ended(not_written(port)));
        }
    }
    let declared = |path: &str| {
        job.outputs
            .iter()
            .any(|port| path.strip_prefix(&port.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let tree = job.store.assemble(job.store.insert_files(&output, declared)?)?;
    Ok(output_of(job, tree, summary, warnings, peak_memory_bytes))
}

fn output_of(
    job: &Job,
    tree: Tree,
    summary: Summary,
    warnings: Vec<String>,
    peak_memory_bytes: Option<u64>,
) -> ActionOutput {
    let (parts, dropped_states, environment) = (BTreeMap::new(), Vec::new(), job.environment.take());
    ActionOutput { tree, parts, environment, counts: None, dropped_states, summary, warnings, peak_memory_bytes }
}

fn not_written(port: &Output) -> Ended {
    Ended::Failed {
        error: format!("the program did not write its output `{}`", port.name),
        causes: Vec::new(),
        help: Some(format!("it must write to ${{outputs.{}}}, which ends in {}", port.name, port.path)),
        cancelled: false,
    }
}
