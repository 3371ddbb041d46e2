//! Runs an action in one go: a stage without parts in a worker, or a program of the user.

use super::job::{ActionError, ActionOutput, Job};
use super::written::Found;
use crate::executor::{Ended, Session};
use pipe_cache::Tree;
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
    let Ended::Finished { summary, mut warnings, peak_memory_bytes } = ended else {
        return Err(ActionError::Ended(ended));
    };
    for port in &job.outputs {
        let found = Found::in_output(&output, &port.path)?;
        if let Some(failure) = found.failure(port) {
            return Err(ActionError::Ended(failure));
        }
        warnings.extend(found.warning(port));
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
