//! [`PartedJob`]: an action that is made in parts, each of which is an action with its own key and record.
//!
//! The worker lists the parts. Parts that the store has are reused; the worker makes the others, and each is recorded as soon
//! as it is complete; then the worker assembles all of them. An interrupted action resumes after the last recorded part.

use super::job::{ActionError, ActionOutput, Job};
use crate::environment;
use crate::events::PartCounts;
use crate::executor::{Ended, Session};
use chain::Chain;
use part::CachedPart;
use pipe_cache::ActionKey;
use pipe_schemas::Parts;
use pipe_stage::Summary;
use pipe_stage::protocol::{MadePart, PART_FILES, PlannedPart, Task};

mod chain;
mod independent;
mod part;

/// An action that is made in parts.
pub(super) struct PartedJob<'a> {
    job: &'a Job,
    session: &'a mut dyn Session,
}

/// What the worker reports of an assembled output.
struct Assembled {
    summary: Summary,
    warnings: Vec<String>,
    peak_memory_bytes: Option<u64>,
}

impl<'a> PartedJob<'a> {
    pub(super) fn new(job: &'a Job, session: &'a mut dyn Session) -> Self {
        Self { job, session }
    }

    pub(super) fn run(mut self) -> Result<ActionOutput, ActionError> {
        let planned = self.plan()?;
        match self.job.contract.parts {
            Some(Parts::Chain) => self.run_chain(&planned),
            Some(Parts::Independent) | None => self.run_independent(&planned),
        }
    }

    fn plan(&mut self) -> Result<Vec<PlannedPart>, ActionError> {
        match self.ask(Task::Plan)? {
            Ended::Planned { parts } => Ok(parts),
            other => Err(ActionError::Ended(other)),
        }
    }

    fn run_independent(&mut self, planned: &[PlannedPart]) -> Result<ActionOutput, ActionError> {
        let (parts, counts) = independent::make(self.job, self.session, planned)?;
        let pairs = planned.iter().zip(&parts);
        let made = pairs.map(|(planned, part)| part.made(&planned.name, self.job)).collect::<Result<Vec<_>, _>>()?;
        match self.ask(Task::Assemble { parts: made })? {
            Ended::Finished { summary, warnings, peak_memory_bytes } => {
                let assembled = Assembled { summary, warnings, peak_memory_bytes };
                self.output(planned, &parts, counts, Vec::new(), assembled)
            }
            other => Err(ActionError::Ended(other)),
        }
    }

    fn run_chain(&mut self, planned: &[PlannedPart]) -> Result<ActionOutput, ActionError> {
        let mut chain = Chain::new(self.job, planned);
        chain.make_all(self.session)?;
        let assembled = loop {
            let parts: Vec<MadePart> = chain.made()?;
            match self.ask(Task::Assemble { parts })? {
                Ended::Finished { summary, warnings, peak_memory_bytes } => {
                    break Assembled { summary, warnings, peak_memory_bytes };
                }
                Ended::StateNeeded { part } => chain.restore_state(&part, self.session)?,
                other => return Err(ActionError::Ended(other)),
            }
        };
        let counts = chain.counts();
        let dropped_states = chain.dropped_states(&assembled.summary);
        let num_used = assembled.summary.used_parts.unwrap_or(usize::MAX);
        let used: Vec<CachedPart> = chain.into_parts().into_iter().take(num_used).collect();
        self.output(planned, &used, counts, dropped_states, assembled)
    }

    /// Puts the files of the parts beside what the worker assembled from them.
    fn output(
        &self,
        planned: &[PlannedPart],
        parts: &[CachedPart],
        counts: PartCounts,
        dropped_states: Vec<ActionKey>,
        assembled: Assembled,
    ) -> Result<ActionOutput, ActionError> {
        let job = self.job;
        let mut files = job.store.insert_files(&job.work.join("output"), |_| true)?;
        for part in parts {
            if let Ok(part) = job.store.tree(part.tree)?.part(PART_FILES) {
                files.extend(part.files);
            }
        }
        let tree = job.store.assemble(files)?;
        let keys = planned.iter().zip(parts).map(|(planned, part)| (planned.name.clone(), part.key)).collect();
        let environments = parts.iter().map(|part| &part.environment);
        let environment = environment::merged(environments.chain([&job.environment.take()]));
        let Assembled { summary, warnings, peak_memory_bytes } = assembled;
        let counts = Some(counts);
        Ok(ActionOutput {
            tree,
            parts: keys,
            environment,
            counts,
            dropped_states,
            summary,
            warnings,
            peak_memory_bytes,
        })
    }

    /// Runs a request that makes no part.
    fn ask(&mut self, task: Task) -> Result<Ended, ActionError> {
        let (job, request) = (self.job, self.job.request(task)?);
        let mut report = |update| {
            job.report(update);
            Ok(())
        };
        Ok(self.session.run(request, &job.log, &mut report)?)
    }
}
